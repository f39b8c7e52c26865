"""Validation of a Chat Completions request: its fields, then how they agree with the model."""

from collections.abc import Mapping
from typing import Any

from proxy.sandbox.jsontypes import JsonObject, as_list, as_object
from proxy.sandbox.openai_chat import fields, refusals, tools
from proxy.sandbox.openai_chat.fields import Check
from proxy.sandbox.openai_chat.messages import check_messages
from proxy.sandbox.openai_chat.models import Traits, chatting, known, traits

__all__ = ["validate"]

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def _stop(value: Any, path: str) -> None:
    if as_list(value) is None:
        if not isinstance(value, str):
            raise refusals.invalid_type(path, "one of a string or array of strings", value)
        return
    for i, sequence in enumerate(fields.array(value, path, most=4)):
        fields.text(sequence, f"{path}[{i}]")


def _metadata(value: Any, path: str) -> None:
    for key, item in fields.open_object(value, path).items():
        fields.text(item, f"{path}.{key}")


def _logit_bias(value: Any, path: str) -> None:
    for key, item in fields.open_object(value, path).items():
        fields.decimal(-100, 100)(item, f"{path}.{key}")


def _modalities(value: Any, path: str) -> None:
    for i, item in enumerate(fields.array(value, path, least=1)):
        fields.of_words("text", "audio")(item, f"{path}[{i}]")


def _accepted(_value: Any, _path: str) -> None:
    """Take what another function checks."""


_STREAM_OPTIONS = fields.shaped(
    {"include_usage": fields.boolean, "include_obfuscation": fields.boolean}
)
# The fields of openai 3.54 `CompletionCreateParams`.
_FIELDS: Mapping[str, Check] = {
    "messages": _accepted,
    "model": fields.text,
    "audio": fields.shaped({"format": fields.text, "voice": _accepted}, "format", "voice"),
    "frequency_penalty": fields.decimal(-2, 2),
    "function_call": _accepted,
    "functions": tools.functions,
    "logit_bias": _logit_bias,
    "logprobs": fields.boolean,
    "max_completion_tokens": fields.integer(1),
    "max_tokens": fields.integer(1),
    "metadata": _metadata,
    "modalities": _modalities,
    "moderation": fields.open_object,
    "n": fields.integer(1, 128),
    "parallel_tool_calls": fields.boolean,
    "prediction": fields.open_object,
    "presence_penalty": fields.decimal(-2, 2),
    "prompt_cache_key": fields.text,
    "prompt_cache_options": fields.shaped(
        {"mode": fields.of_words("implicit", "explicit"), "ttl": fields.of_words("30m")}
    ),
    "prompt_cache_retention": fields.of_words("in_memory", "24h"),
    "reasoning_effort": fields.of_words(*_EFFORTS),
    "response_format": _accepted,
    "safety_identifier": fields.text,
    "seed": fields.integer(),
    "service_tier": fields.of_words("auto", "default", "flex", "scale", "priority", "fast"),
    "stop": _stop,
    "store": fields.boolean,
    "stream": fields.boolean,
    "stream_options": _STREAM_OPTIONS,
    "temperature": fields.decimal(0, 2),
    "tool_choice": _accepted,
    "tools": tools.tools,
    "top_logprobs": fields.integer(0, 20),
    "top_p": fields.decimal(0, 1),
    "user": fields.text,
    "verbosity": fields.of_words("low", "medium", "high"),
    "web_search_options": fields.open_object,
}
_NOT_NULL = ("messages", "model", "tools", "functions", "parallel_tool_calls", "user")


def validate(payload: Any) -> JsonObject:
    """Return the body when the service would accept it.

    Raises:
        Rejection: as the service words it.
    """
    body = as_object(payload)
    if body is None:
        raise refusals.invalid_type("body", "an object", payload)
    _check_fields(body)
    model: str = body["model"]
    known(model)
    chatting(model)
    check_messages(body["messages"])
    _check_agreement(body)
    _check_model(body, traits(model))
    return body


def _check_fields(body: JsonObject) -> None:
    unknown = [key for key in body if key not in _FIELDS]
    if unknown:
        noun = "argument" if len(unknown) == 1 else "arguments"
        raise refusals.refuse(
            f"Unrecognized request {noun} supplied: {', '.join(unknown)}",
            None,
        )
    if "model" not in body:
        raise refusals.refuse("you must provide a model parameter", None)
    if "messages" not in body:
        raise refusals.missing("messages")
    for key, value in body.items():
        if value is not None or key in _NOT_NULL:
            _FIELDS[key](value, key)


def _check_agreement(body: JsonObject) -> None:
    offered = as_list(body.get("tools"))
    if body.get("tool_choice") is not None:
        tools.check_choice(body["tool_choice"], offered)
    if body.get("function_call") is not None:
        tools.check_function_choice(body["function_call"], as_list(body.get("functions")))
    if "parallel_tool_calls" in body and not offered:
        raise refusals.refuse(
            "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when "
            "'tools' are specified.",
            "parallel_tool_calls",
        )
    if body.get("response_format") is not None:
        tools.check_response_format(body["response_format"], body["messages"])
    if body.get("stream_options") is not None and not body.get("stream"):
        raise refusals.refuse(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            "stream_options",
        )
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        raise refusals.refuse(
            "'top_logprobs' may only be specified when 'logprobs' is set to true.", "top_logprobs"
        )
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise refusals.refuse(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            "max_tokens",
        )


def _check_model(body: JsonObject, model: Traits) -> None:
    effort: str | None = body.get("reasoning_effort")
    if not model.reasons:
        if effort is not None:
            raise refusals.refuse("Unrecognized request argument supplied: reasoning_effort", None)
        return
    if body.get("max_tokens") is not None:
        raise refusals.unsupported_parameter("max_tokens", " Use 'max_completion_tokens' instead.")
    if model.is_reasoning(effort):
        _check_reasoning(body)
    _check_reasoning_tools(body, model, effort)


def _check_reasoning(body: JsonObject) -> None:
    for key in ("stop", "logprobs", "top_logprobs", "logit_bias"):
        if body.get(key):
            raise refusals.unsupported_parameter(key)
    for key, default in _FIXED.items():
        value = body.get(key)
        if value is not None and value != default:
            hint = f" Only the default ({default}) value is supported."
            raise refusals.unsupported_value(key, str(value), hint)


_FIXED = {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0}


def _check_reasoning_tools(body: JsonObject, model: Traits, effort: str | None) -> None:
    functions = body.get("tools") or body.get("functions")
    if functions and model.tools_need_no_reasoning and model.is_reasoning(effort):
        raise refusals.refuse(
            f"Function tools with reasoning_effort are not supported for {body['model']} in "
            "/v1/chat/completions. To use function tools, use /v1/responses or set "
            "reasoning_effort to 'none'.",
            "reasoning_effort",
        )
