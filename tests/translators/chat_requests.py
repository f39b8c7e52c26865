"""Requests in OpenAI's form, for the tests of every dialect."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.translators.streams import CONTEXT, Json
from translators.protocol import ResponseContext
from translators.wire.request import ChatCompletionRequest, parse_request

__all__ = [
    "MISFIT_RESULTS",
    "NEUTRAL",
    "PNG",
    "calls",
    "chat_of",
    "context_for",
    "request_of",
    "result",
    "user",
]

PNG = "iVBORw0KGgo="
"""The base64 of what every PNG begins with."""

NEUTRAL: list[tuple[str, Any]] = [
    ("frequency_penalty", 0),
    ("logit_bias", {}),
    ("logprobs", False),
    ("modalities", ["text"]),
    ("n", 1),
    ("response_format", {"type": "text"}),
    ("service_tier", "auto"),
    ("store", False),
    ("tools", []),
    ("stop", []),
    ("reasoning_effort", None),
    ("tool_choice", "none"),
    ("stream_options", None),
]
"""Fields with values that ask for nothing, whatever the dialect."""


def chat_of(request: Json) -> ChatCompletionRequest:
    return parse_request(json.dumps(request).encode())


def context_for(chat: ChatCompletionRequest) -> ResponseContext:
    """Return the context of an answer to `chat`."""
    return replace(
        CONTEXT, custom_tools=chat.custom_tool_names, legacy_functions=chat.uses_functions
    )


def request_of(**fields: Any) -> ChatCompletionRequest:
    """Return a request; without `messages` it says "Hi"."""
    return chat_of({"model": "persona", "messages": [user("Hi")], **fields})


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def calls(*ids: str, name: str = "get_weather", arguments: str = "{}", **extra: Any) -> Json:
    """Return an answer that calls a function once for each id."""
    entries = [
        {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}, **extra}
        for id in ids
    ]
    return {"role": "assistant", "content": None, "tool_calls": entries}


def result(id: str, content: Any = "fine") -> Json:
    return {"role": "tool", "tool_call_id": id, "content": content}


MISFIT_RESULTS = [
    pytest.param(messages, param, id=id)
    for id, messages, param in (
        ("one missing", [user("x"), calls("a", "b"), result("a"), user("y")], "messages"),
        ("all missing", [user("x"), calls("a")], "messages"),
        (
            "after another answer",
            [user("x"), calls("a"), user("y"), calls("b"), result("a"), result("b")],
            "messages",
        ),
        (
            "twice",
            [user("x"), calls("a"), result("a"), result("a")],
            "messages[3].tool_call_id",
        ),
        (
            "late",
            [user("x"), calls("a"), result("a"), calls("b"), result("b"), result("a")],
            "messages[5].tool_call_id",
        ),
        (
            "function without call",
            [user("x"), {"role": "function", "name": "f", "content": "1"}],
            "messages[1].name",
        ),
    )
]
"""Messages whose results do not fit their calls, and the parameter at fault."""
