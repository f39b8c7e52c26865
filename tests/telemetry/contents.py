"""Requests and answers for tests of captured content, written and checked."""

import json
from typing import Any

from proxy.telemetry.content.messages import Asked, Writer
from proxy.telemetry.content.redaction import Redactor
from tests.telemetry import genai_schema as schema
from translators.wire.request import ChatCompletionRequest

__all__ = ["LIMIT", "Json", "answered", "asked", "choice", "parts", "request", "user"]

Json = dict[str, Any]

LIMIT = 64 * 1024


def request(*messages: Json, **fields: Any) -> ChatCompletionRequest:
    body = {"model": "m", "messages": list(messages), **fields}
    return ChatCompletionRequest.model_validate_json(json.dumps(body))


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def asked(
    *messages: Json, limit: int = LIMIT, apart: bool = False, **fields: Any
) -> tuple[Asked, Any]:
    writer = Writer(Redactor(), limit)
    found = writer.asked(request(*messages, **fields), instructions_apart=apart)
    assert len(found.messages.encode()) <= limit
    return found, schema.messages(found.messages)


def parts(content: Any) -> Any:
    _, (message,) = asked(user(content))
    return message["parts"]


def answered(*choices: Json, limit: int = LIMIT, unfinished: str = "error") -> Any:
    said = Writer(Redactor(), limit).answered(choices, unfinished=unfinished)
    assert len(said.encode()) <= limit
    return schema.messages(said)


def choice(message: Json, reason: str | None = "stop") -> Json:
    return {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
