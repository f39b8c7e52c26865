"""Rules that span several fields, or depend on the model or the API version.

Each `_check_*` raises the first fault it finds. Wording of the messages: recorded or quoted by
users; where none is public, the nearest phrase of the documentation.
"""

import re
from typing import Any

from proxy.sandbox.gemini_generate import refusals, schemas, turns
from proxy.sandbox.gemini_generate.continuation import hops_before
from proxy.sandbox.gemini_generate.models import Traits
from proxy.sandbox.gemini_generate.parts import check_contents
from proxy.sandbox.jsontypes import JsonObject, as_object, as_text, objects

__all__ = ["check_rules", "declarations"]

_CONFIG = "generation_config"
_MIMES = ("text/plain", "application/json", "application/xml", "application/yaml", "text/x.enum")
_FUNCTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_RANGES = {
    "temperature": (0.0, 2.0),
    "top_p": (0.0, 1.0),
    "candidate_count": (1, 8),
    "logprobs": (0, 20),
    "frequency_penalty": (-2.0, 2.0),
    "presence_penalty": (-2.0, 2.0),
}


def check_rules(body: JsonObject, model: Traits) -> None:
    """Refuse what the shape alone does not show to be wrong; `body` has canonical names.

    Raises:
        Rejection: as the service words it.
    """
    config: JsonObject = body.get("generation_config", {})
    check_contents(body)
    _check_ranges(config)
    _check_sampling(config, model)
    _check_output(config, model)
    _check_thinking(config.get("thinking_config", {}), model)
    _check_declarations(body)
    _check_tools(body, model)
    _check_tool_config(body)
    turns.check_turns(objects(body["contents"]), model)
    hops_before(body)


def declarations(body: JsonObject) -> list[JsonObject]:
    """Return all function declarations of a request."""
    return [
        declared
        for tool in objects(body.get("tools"))
        for declared in objects(tool.get("function_declarations"))
    ]


def _check_ranges(config: JsonObject) -> None:
    for name, (low, high) in _RANGES.items():
        value = config.get(name)
        if value is not None and not low <= value <= high:
            raise refusals.violated(
                f"{_CONFIG}.{name}", f"{name} must be in the range [{low}, {high}]."
            )
    for name in ("max_output_tokens", "top_k"):
        if config.get(name, 1) <= 0:
            raise refusals.violated(f"{_CONFIG}.{name}", f"{name} must be positive.")
    if len(config.get("stop_sequences", [])) > 5:
        raise refusals.violated(
            f"{_CONFIG}.stop_sequences", "the number of stop_sequences must be at most 5."
        )
    for i, sequence in enumerate(config.get("stop_sequences", [])):
        if not sequence:
            raise refusals.violated(f"{_CONFIG}.stop_sequences[{i}]", "must not be empty.")


def _check_sampling(config: JsonObject, model: Traits) -> None:
    if model.newest and (config.get("frequency_penalty") or config.get("presence_penalty")):
        raise refusals.invalid("Penalty is not enabled for this model")
    if config.get("candidate_count", 1) > 1 and model.third:
        raise refusals.invalid("Multiple candidates is not enabled for this model")
    if "logprobs" in config and not config.get("response_logprobs"):
        raise refusals.violated(
            f"{_CONFIG}.logprobs", "logprobs is only allowed when response_logprobs is true."
        )


def _check_output(config: JsonObject, model: Traits) -> None:
    wanted: list[str] = config.get("response_modalities", [])
    if any(name not in ("TEXT", *model.modalities) for name in wanted):
        raise refusals.invalid(
            f"The requested combination of response modalities ({', '.join(wanted)}) is not "
            f"supported by the model. models/{model.name} accepts the following combination of "
            f"response modalities:\n* {', '.join(('TEXT', *model.modalities))}\n"
        )
    mime = config.get("response_mime_type") or "text/plain"
    if mime not in _MIMES:
        allowed = ", ".join(f"`{name}`" for name in _MIMES)
        raise refusals.violated(
            f"{_CONFIG}.response_mime_type", f"allowed mimetypes are {allowed}."
        )
    given = [name for name in ("response_schema", "response_json_schema") if name in config]
    if len(given) > 1:
        raise refusals.violated(
            f"{_CONFIG}.response_json_schema", "must not be set together with response_schema."
        )
    if given and mime not in {"application/json", "text/x.enum"}:
        raise refusals.violated(
            f"{_CONFIG}.{given[0]}", "only allowed for response_mime_type `application/json`."
        )
    if "response_schema" in config:
        schemas.check_schema(config["response_schema"], f"{_CONFIG}.response_schema")
    if "response_json_schema" in config:
        schemas.check_json_schema(config["response_json_schema"])


def _check_thinking(thinking: JsonObject, model: Traits) -> None:
    level: str | None = thinking.get("thinking_level")
    budget: int | None = thinking.get("thinking_budget")
    if level is not None and budget is not None:
        raise refusals.invalid("You can only set only one of thinking budget and thinking level.")
    if not model.thinks:
        if level or budget or thinking.get("include_thoughts"):
            raise refusals.invalid(f"Thinking is not enabled for models/{model.name}")
        return
    if level is not None and level != "THINKING_LEVEL_UNSPECIFIED":
        _check_level(level, model)
    if budget == 0 and not model.can_rest:
        raise refusals.invalid("Budget 0 is invalid. This model only works in thinking mode.")
    least, most = model.budgets
    if budget not in (None, 0, -1) and not least <= budget <= most:
        raise refusals.invalid(
            f"The thinking budget {budget} is invalid. Please choose a value between {least} and "
            f"{most}."
        )


def _check_level(level: str, model: Traits) -> None:
    if not model.levels:
        raise refusals.invalid("Thinking level is not supported for this model.")
    if level not in model.levels:
        raise refusals.invalid(
            f"Thinking level {level} is not supported for this model. Please retry with other "
            "thinking level."
        )


def _check_declarations(body: JsonObject) -> None:
    names: set[str] = set()
    for i, tool in enumerate(objects(body.get("tools"))):
        for k, declared in enumerate(objects(tool.get("function_declarations"))):
            path = f"tools[{i}].function_declarations[{k}]"
            name = as_text(declared.get("name"))
            if not _FUNCTION_NAME.fullmatch(name):
                raise refusals.violated(
                    f"{path}.name",
                    "Invalid function name. Must start with a letter or an underscore. Must be "
                    "alphameric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes "
                    "(-), with a maximum length of 128.",
                )
            if name in names:
                raise refusals.invalid(f"Duplicate function declaration found: {name}")
            names.add(name)
            _check_parameters(declared, path)


def _check_parameters(declared: JsonObject, path: str) -> None:
    for old in ("parameters", "response"):
        new = f"{old}_json_schema"
        if old in declared and new in declared:
            raise refusals.violated(f"{path}.{new}", f"must not be set together with {old}.")
        if old in declared:
            schemas.check_schema(declared[old], f"{path}.{old}")
        if new in declared:
            schemas.check_json_schema(declared[new])
    kind: Any = declared.get("parameters", {}).get("type")
    if kind not in (None, "OBJECT"):
        raise refusals.violated(f"{path}.parameters.type", "must be OBJECT.")
    schema = as_object(declared.get("parameters_json_schema"))
    if "parameters_json_schema" in declared and (
        schema is None or ("$ref" not in schema and schema.get("type", "object") != "object")
    ):
        raise refusals.invalid("schema at top-level must be of type object")


def _check_tools(body: JsonObject, model: Traits) -> None:
    config: JsonObject = body.get("generation_config", {})
    if not declarations(body):
        return
    if config.get("response_mime_type") == "application/json" and not model.third:
        raise refusals.invalid(
            "Function calling with a response mime type: 'application/json' is unsupported"
        )
    others = any(tool.keys() - {"function_declarations"} for tool in objects(body.get("tools")))
    if not others:
        return
    if not model.third:
        raise refusals.invalid("Tool use with function calling is unsupported")
    if not body.get("tool_config", {}).get("include_server_side_tool_invocations"):
        raise refusals.invalid(
            "Please enable tool_config.include_server_side_tool_invocations to use Built-in tools "
            "with Function calling."
        )


def _check_tool_config(body: JsonObject) -> None:
    config: JsonObject = body.get("tool_config", {}).get("function_calling_config", {})
    path = "tool_config.function_calling_config.allowed_function_names"
    mode = config.get("mode", "MODE_UNSPECIFIED")
    names = {declared["name"] for declared in declarations(body)}
    if mode in {"ANY", "VALIDATED"} and not names:
        raise refusals.invalid("Function calling config is set without function_declarations.")
    allowed: list[str] = config.get("allowed_function_names", [])
    if allowed and mode not in {"ANY", "VALIDATED"}:
        raise refusals.violated(
            path, "allowed_function_names should only be set when the mode is ANY or VALIDATED."
        )
    for name in allowed:
        if name not in names:
            raise refusals.violated(path, f"function `{name}` is not declared.")
