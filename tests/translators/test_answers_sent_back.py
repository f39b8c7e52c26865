"""Answers that a client sends back as they came, to the provider that gave them or to another.

A target is sent nothing that it does not know, by the types of its own SDK; and what it is not
sent is reported, but for what repeats something that it is sent.
"""

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from openai.types.chat import ChatCompletionAssistantMessageParam
from pydantic import TypeAdapter

import translators
from tests.golden_files import GOLDEN
from tests.translators.anthropic_messages import native_schema
from tests.translators.chat_requests import request_of, result, user
from tests.translators.claude_agent.agent_api import call_of
from tests.translators.gemini_generate import gemini_types
from tests.translators.openai_responses import responses_types
from tests.translators.streams import CONTEXT, Json
from translators.anthropic_messages.translator import AnthropicMessagesTranslator
from translators.claude_agent.request import AgentRequest
from translators.claude_agent.translator import ClaudeAgentTranslator
from translators.errors import TranslationError
from translators.fidelity import Report
from translators.fold import fold
from translators.gemini_generate.translator import GeminiGenerateTranslator
from translators.openai_chat.translator import OpenAIChatTranslator
from translators.openai_responses.translator import OpenAIResponsesTranslator
from translators.protocol import HttpRequest, Translator

OPENAIS = {"role", "content", "refusal", "tool_calls", "function_call"}
OPENAIS_OF_A_CALL = {"id", "type", "function", "custom"}

SILENT = {"annotations", "citations"}
"""They say whence a text is; the text itself is sent."""

REFUSED = {"audio"}
"""A spoken answer is not left out without a word: it is refused where it cannot be reported."""


def spoken() -> Json:
    """Return the one answer that no golden case has."""
    sound = {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "UklGRgAAAABXQVZF"}}
    content = {"role": "model", "parts": [sound]}
    answer: Json = {"candidates": [{"content": content, "finishReason": "STOP"}]}
    body = json.dumps({**answer, "responseId": "x7dZaK-3"}).encode()
    return json.loads(GeminiGenerateTranslator().response(body, CONTEXT).data)["choices"][0]


def answers() -> Iterator[tuple[str, Json, Json]]:
    """Yield every answer of ours: whose, the request, the message."""
    for folder in sorted(GOLDEN.glob("*/*")):
        stream, whole = folder / "stream.sse", folder / "response.json"
        if (folder / "error.json").exists() or not (stream.exists() or whole.exists()):
            continue
        if whole.exists():
            body = json.loads(whole.read_bytes())
        else:
            lines = stream.read_text().split("\n")
            body = json.loads(fold(x[6:].encode() for x in lines if x.startswith("data: ")))
        request = json.loads((folder / "request.json").read_bytes())
        for choice in body["choices"]:
            yield f"{folder.parent.name}/{folder.name}", request, choice["message"]
    yield "gemini_generate/spoken", {}, spoken()["message"]


ANSWERS = list(answers())


def problems_in_chat(body: Json) -> list[str]:
    """Return the keys of earlier answers that OpenAI's own type of them does not have."""
    schema = TypeAdapter[Any](ChatCompletionAssistantMessageParam).json_schema()
    kinds = schema["$defs"]
    calls = {
        "function": kinds["ChatCompletionMessageFunctionToolCallParam"]["properties"],
        "custom": kinds["ChatCompletionMessageCustomToolCallParam"]["properties"],
    }
    said = [message for message in body["messages"] if message["role"] == "assistant"]
    found = [key for message in said for key in message.keys() - schema["properties"].keys()]
    found += [
        key
        for message in said
        for call in message.get("tool_calls", ())
        for key in call.keys() - calls[call["type"]].keys()
    ]
    spoken_ones: list[Json] = [message["audio"] for message in said if message.get("audio")]
    found += [f"audio.{key}" for audio in spoken_ones for key in audio.keys() - {"id"}]
    return found


AnyTranslator = Translator[Any, Any, Any]

TARGETS: dict[str, tuple[AnyTranslator, str, Callable[[Json], list[str]]]] = {
    "openai_chat": (OpenAIChatTranslator(), "gpt-5.4", problems_in_chat),
    "openai_responses": (OpenAIResponsesTranslator(), "gpt-5.4", responses_types.problems_of),
    "anthropic_messages": (
        AnthropicMessagesTranslator(),
        "claude-opus-4-8",
        native_schema.problems_of,
    ),
    "gemini_generate": (
        GeminiGenerateTranslator(),
        "gemini-3-flash-preview",
        gemini_types.problems_of,
    ),
    "claude_agent": (ClaudeAgentTranslator(), "claude-opus-4-8", native_schema.problems_of),
}


def body_of(request: HttpRequest | AgentRequest) -> Json:
    """Return what the API gets; from the Claude CLI, where that is told the request."""
    return call_of(request) if isinstance(request, AgentRequest) else request.body


def conversation(request: Json, message: Json) -> Json:
    """Return the request that goes on from an answer."""
    tools = {name: request[name] for name in ("tools", "functions") if name in request}
    results = [result(call["id"]) for call in message.get("tool_calls") or ()]
    if (call := message.get("function_call")) is not None:
        results.append({"role": "function", "name": call["name"], "content": "fine"})
    return {"messages": [user("x"), message, *results, user("y")], **tools}


def extensions(message: Json) -> Iterator[tuple[str, Any]]:
    """Yield what a message has beyond OpenAI's format: where, and what."""
    for key in message.keys() - OPENAIS:
        yield f"messages[].{key}", message[key]
    for call in message.get("tool_calls") or ():
        for key in call.keys() - OPENAIS_OF_A_CALL:
            yield f"messages[].tool_calls[].{key}", call[key]


NAMES = {"type", "format", "id", "index", "name", "status"}
"""Keys of values that say nothing of their own."""

SEALS = {"data", "signature", "thought_signature", "encrypted_content"}
"""Keys of what holds a thought for the vendor whose model thought it."""


def texts(value: Any, keys: set[str] | None = None, key: str = "") -> Iterator[str]:
    """Yield the strings in `value` that say something; with `keys`, only those under them."""
    if isinstance(value, str):
        if value and (keys is None or key in keys):
            yield value
    elif isinstance(value, list):
        for entry in cast("list[Any]", value):
            yield from texts(entry, keys, key)
    elif isinstance(value, dict):
        for name, entry in cast("Json", value).items():
            if name not in NAMES:
                yield from texts(entry, keys, name)


def lost(path: str, extension: Any, message: Json, body: Json) -> list[str]:
    """Return the strings of `extension` that `body` does not hold.

    A thought is not lost where its seals are sent, which hold it: some APIs want only them.
    """
    sent = list(texts(body))
    wanted = texts(extension)
    thoughts = [message.get("reasoning_details"), message.get("tool_calls")]
    if "reasoning" in path and (seals := list(texts(thoughts, SEALS))):
        wanted = iter(seals)
    # An image comes as a data URL, and goes as the data in it.
    return [t for t in wanted if not any(t in s or t.endswith("," + s) for s in sent)]


def reported(path: str, report: Report) -> bool:
    return any(told.startswith(path) for told in (*report.ignored, *report.emulated))


def emitted() -> set[str]:
    """Return the names of the fields that our translators put into deltas."""
    found: set[str] = set()
    for file in Path(translators.__path__[0]).glob("*/*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr == "delta":
                keywords = cast("ast.Call", node).keywords
                found |= {keyword.arg for keyword in keywords if keyword.arg}
    return found


def test_the_examples_have_every_key_that_our_answers_can_have():
    keys = {path for _, _, message in ANSWERS for path, _ in extensions(message)}
    assert keys == {
        *(f"messages[].{key}" for key in ("annotations", "citations", "images", "audio")),
        *("messages[].reasoning_content", "messages[].reasoning_details"),
        "messages[].tool_calls[].extra_content",
    }
    assert {f"messages[].{name}" for name in emitted() - OPENAIS} <= keys


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("request_", "message"), [pytest.param(r, m, id=name) for name, r, m in ANSWERS]
)
def test_row_98_row_100_an_answer_goes_back_as_it_came(request_: Json, message: Json, target: str):
    translator, model, problems_of = TARGETS[target]
    bare = {key: value for key, value in message.items() if key in OPENAIS}
    for sent_back in (message, *({**bare, key: message[key]} for key in message.keys() - OPENAIS)):
        chat = request_of(**conversation(request_, sent_back))
        try:
            translated = translator.request(chat, model=model)
        except TranslationError as error:
            assert (error.param or "").removeprefix("messages[1].") in REFUSED & sent_back.keys()
            continue
        body = body_of(translated.request)
        assert problems_of(body) == []
        for path, extension in extensions(sent_back):
            gone = lost(path, extension, sent_back, body)
            silent = path.removeprefix("messages[].") in SILENT
            assert silent or not gone or reported(path, translated.report), (path, gone)
