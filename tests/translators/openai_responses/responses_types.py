"""The OpenAI SDK's own types as oracle: of a request's form, and of what an answer says."""

import json
from functools import cache
from typing import Any, cast

import jsonschema
from openai.types.responses import Response
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from pydantic import TypeAdapter

__all__ = ["Said", "problems_of"]

Json = dict[str, Any]


def problems_of(body: Json) -> list[str]:
    """Return what the SDK's types object to, extra keys included."""
    errors = _validator(bool(body.get("stream"))).iter_errors(body)
    return [f"{error.json_path}: {error.message[:500]}" for error in errors]


@cache
def _validator(stream: bool) -> Any:
    kind: Any = ResponseCreateParamsStreaming if stream else ResponseCreateParamsNonStreaming
    # pydantic itself would check an `Iterable` only when somebody iterates over it.
    schema = TypeAdapter[Any](kind).json_schema()
    for definition in [schema, *schema["$defs"].values()]:
        if "properties" in definition:
            definition.setdefault("additionalProperties", False)
    return jsonschema.Draft202012Validator(schema)


class Said:
    """What an answer says, by the SDK's types."""

    def __init__(self, body: Json) -> None:
        self.response = answer = Response.construct(**body)
        items = [json.loads(item.to_json(warnings=False)) for item in answer.output]
        self.text = answer.output_text
        self.refusal = "".join(
            part["refusal"]
            for item in items
            for part in item.get("content") or ()
            if item["type"] == "message" and part["type"] == "refusal"
        )
        self.reasoning = "\n\n".join(
            part["text"]
            for item in items
            if item["type"] == "reasoning"
            for part in item["summary"]
            if part["text"]
        )
        self.functions = [
            (item["call_id"], item["name"], json.loads(item["arguments"] or "{}"))
            for item in items
            if item["type"] == "function_call"
        ]
        self.custom = [
            (item["call_id"], item["name"], item["input"])
            for item in items
            if item["type"] == "custom_tool_call"
        ]
        self.sources = [
            (source["url"], part["text"][source["start_index"] : source["end_index"]])
            for item in items
            for part in item.get("content") or ()
            for source in part.get("annotations") or ()
            if source["type"] == "url_citation"
        ]
        self.replayable = _replayable(items)

    @property
    def finish_reason(self) -> str:
        details = self.response.incomplete_details
        if details is not None and details.reason is not None:
            return {"max_output_tokens": "length", "content_filter": "content_filter"}[
                cast("Any", details.reason)
            ]
        return "tool_calls" if self.functions or self.custom else "stop"

    @property
    def counts(self) -> tuple[int, ...]:
        usage = self.response.usage
        assert usage is not None
        return (
            usage.input_tokens,
            usage.output_tokens,
            usage.total_tokens,
            usage.input_tokens_details.cached_tokens,
            usage.output_tokens_details.reasoning_tokens,
        )


def _replayable(items: list[Json]) -> list[str]:
    """Return the ids of the encrypted reasoning items that a message or a call follows."""
    found: list[str] = []
    pending: list[str] = []
    for item in items:
        if item["type"] == "reasoning":
            pending += [item["id"]] if item.get("encrypted_content") else []
        else:
            if item["type"] in ("message", "function_call", "custom_tool_call"):
                found += pending
            pending = []
    return found
