"""Validation of a Responses request: its fields, then how they agree with the model.

Sources of the words: recorded 400s, and public reports where none is recorded.
"""

from collections.abc import Mapping
from typing import Any

from proxy.sandbox.jsontypes import JsonObject, as_object
from proxy.sandbox.openai_chat import fields, refusals
from proxy.sandbox.openai_chat.fields import Check
from proxy.sandbox.openai_chat.models import Traits, known, traits
from proxy.sandbox.openai_responses import tools
from proxy.sandbox.openai_responses.items import check_input
from proxy.sandbox.openai_responses.order import check_order

__all__ = ["ENCRYPTED", "LOGPROBS", "validate"]

ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"
_INCLUDABLE = (
    *("file_search_call.results", "web_search_call.results", "web_search_call.action.sources"),
    *("message.input_image.image_url", "computer_call_output.output.image_url"),
    *("code_interpreter_call.outputs", ENCRYPTED, LOGPROBS),
)
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_LEAST_OUTPUT = 16


def _include(value: Any, path: str) -> None:
    for i, item in enumerate(fields.array(value, path)):
        fields.of_words(*_INCLUDABLE)(item, f"{path}[{i}]")


def _metadata(value: Any, path: str) -> None:
    for key, item in fields.open_object(value, path).items():
        fields.text(item, f"{path}.{key}")


def _accepted(_value: Any, _path: str) -> None:
    """Take what another function checks."""


_SUMMARY = fields.nullable(fields.of_words("auto", "concise", "detailed"))
# The fields of openai 3.54 `ResponseCreateParams`.
_FIELDS: Mapping[str, Check] = {
    "model": fields.text,
    "input": _accepted,
    "access_programs": fields.open_object,
    "background": fields.boolean,
    "background_options": fields.open_object,
    "context_management": fields.array,
    "conversation": _accepted,
    "image": fields.open_object,
    "include": _include,
    "instructions": fields.text,
    "max_output_tokens": fields.integer(_LEAST_OUTPUT),
    "max_tool_calls": fields.integer(1),
    "metadata": _metadata,
    "moderation": fields.open_object,
    "parallel_tool_calls": fields.boolean,
    "previous_response_id": fields.text,
    "prompt": fields.open_object,
    "prompt_cache_key": fields.text,
    "prompt_cache_options": fields.shaped(
        {
            "mode": fields.of_words("implicit", "explicit"),
            "ttl": fields.of_words("30m", "12h"),
            "comparison_response_id": fields.nullable(fields.text),
            "prewarm": fields.boolean,
        }
    ),
    "prompt_cache_retention": fields.of_words("in_memory", "24h"),
    "reasoning": fields.shaped(
        {
            "effort": fields.nullable(fields.of_words(*_EFFORTS)),
            "summary": _SUMMARY,
            "generate_summary": _SUMMARY,
            "context": fields.nullable(fields.of_words("auto", "current_turn", "all_turns")),
            "mode": fields.text,
        }
    ),
    "safety_identifier": fields.text,
    "service_tier": fields.of_words(
        *("auto", "default", "flex", "scale", "priority", "fast", "ultrafast")
    ),
    "store": fields.boolean,
    "stream": fields.boolean,
    "stream_options": fields.shaped({"include_obfuscation": fields.boolean}),
    "temperature": fields.decimal(0, 2),
    "text": fields.shaped(
        {
            "format": tools.check_format,
            "verbosity": fields.nullable(fields.of_words("low", "medium", "high")),
        }
    ),
    "tool_choice": _accepted,
    "tools": tools.tools,
    "top_logprobs": fields.integer(0, 20),
    "top_p": fields.decimal(0, 1),
    "truncation": fields.of_words("auto", "disabled"),
    "user": fields.text,
}
# What Chat Completions calls by another name; the service says so.
_MOVED = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
}
# What the service keeps on its side, and the sandbox does not.
_STATEFUL = ("background", "conversation", "prompt")


def validate(payload: Any) -> JsonObject:
    """Return the body when the service would accept it, its `input` as a list of items.

    Raises:
        Rejection: as the service words it.
    """
    body = as_object(payload)
    if body is None:
        raise refusals.invalid_type("body", "an object", payload)
    _check_fields(body)
    known(body["model"])
    items = check_input(body["input"])
    _check_state(body)
    check_order(items)
    _check_agreement(body, items)
    _check_model(body, traits(body["model"]))
    return {**body, "input": items}


def _check_fields(body: JsonObject) -> None:
    for key in body:
        if key in _MOVED:
            raise refusals.refuse(
                f"Unsupported parameter: '{key}'. In the Responses API, this parameter has moved "
                f"to '{_MOVED[key]}'. Try again with the new parameter. See the API documentation "
                "for more information: https://platform.openai.com/docs/api-reference/responses/"
                "create.",
                key,
                "unsupported_parameter",
            )
        if key not in _FIELDS:
            raise refusals.unknown_parameter(key)
    if "model" not in body:
        raise refusals.missing("model")
    if body.get("input") is None:
        raise refusals.refuse(
            "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be "
            "provided.",
            "input",
            "missing_required_parameter",
        )
    for key, value in body.items():
        if value is not None or key == "model":
            _FIELDS[key](value, key)


def _check_state(body: JsonObject) -> None:
    previous = body.get("previous_response_id")
    if previous is not None:
        raise refusals.refuse(
            f"Previous response with id '{previous}' not found.",
            "previous_response_id",
            "previous_response_not_found",
        )
    for key in _STATEFUL:
        if body.get(key):
            raise refusals.refuse(
                f"sandbox: '{key}' needs a memory on the service's side, which the sandbox lacks.",
                key,
            )


def _check_agreement(body: JsonObject, items: list[JsonObject]) -> None:
    if body.get("tool_choice") is not None:
        tools.check_choice(body["tool_choice"], body.get("tools") or [])
    if body.get("stream_options") is not None and not body.get("stream"):
        raise refusals.refuse(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            "stream_options",
        )
    text = as_object(body.get("text")) or {}
    form = as_object(text.get("format")) or {}
    if form.get("type") == "json_object" and not _speaks_of_json(body, items):
        raise refusals.refuse(
            "Response input messages must contain the word 'json' in some form to use "
            "'text.format' of type 'json_object'.",
            "input",
        )


def _speaks_of_json(body: JsonObject, items: list[JsonObject]) -> bool:
    said = [str(item.get("content")) for item in items] + [str(body.get("instructions"))]
    return any("json" in text.lower() for text in said)


def _check_model(body: JsonObject, model: Traits) -> None:
    reasoning: JsonObject = body.get("reasoning") or {}
    effort: str | None = reasoning.get("effort")
    if not model.reasons:
        for key in ("effort", "summary", "generate_summary"):
            if reasoning.get(key) is not None:
                raise refusals.unsupported_parameter(f"reasoning.{key}")
        if ENCRYPTED in (body.get("include") or ()):
            raise refusals.refuse("Encrypted content is not supported with this model.", "include")
        return
    if not model.is_reasoning(effort):
        return
    for key in ("temperature", "top_p"):
        if body.get(key) not in {None, 1}:
            raise refusals.unsupported_parameter(key)
    if body.get("top_logprobs"):
        raise refusals.unsupported_parameter("top_logprobs")
    if LOGPROBS in (body.get("include") or ()):
        raise refusals.refuse("logprobs are not supported with reasoning models.", "include")
