"""Rules that span several fields, or depend on the model or the API version.

Each `_check_*` raises the first fault it finds. Wording of the messages: recorded or published
400s; where none is public, the nearest phrase of the documentation.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.sandbox.anthropic_messages import binding, content, refusals, schemas, search, turns
from proxy.sandbox.anthropic_messages.models import Traits, known, traits
from proxy.sandbox.anthropic_messages.wire import Body, CustomTool, ServerTool
from proxy.sandbox.jsontypes import JsonObject, as_list, as_object

__all__ = ["NEW_VERSION", "check_rules"]

NEW_VERSION = "2026-10-21"
_BINDING_BETA = "thinking-binding-controls-2026-08-01"
_MOST_MARKS = 4


def check_rules(body: Body, payload: JsonObject, headers: Mapping[str, str]) -> None:
    """Refuse what the shape alone does not show to be wrong.

    Raises:
        Rejection: as the service words it.
    """
    model = traits(body.model)
    newest = headers.get("anthropic-version") == NEW_VERSION
    known(body.model)
    _check_sampling(body, payload, model, newest=newest)
    _check_limits(body, model)
    _check_thinking(body, model, headers.get("anthropic-beta", ""))
    complexity = schemas.Complexity()
    _check_tools(body, payload, model, complexity)
    _check_output(body, model, complexity)
    turns.check_turns(body, model)
    content.check_content(body, newest=newest)
    binding.check_binding(payload, model)
    search.check_replay(body, payload)
    _check_marks(payload)


def _check_sampling(body: Body, payload: JsonObject, model: Traits, *, newest: bool) -> None:
    for key in ("temperature", "top_p", "top_k"):
        if newest and key in payload:
            raise refusals.invalid(f"{key}: Extra inputs are not permitted")
    for key, value in (("temperature", body.temperature), ("top_p", body.top_p)):
        if value is not None and not 0 <= value <= 1:
            raise refusals.invalid(f"{key}: range: 0..1")
        if value not in (None, 1) and not model.sampling:
            raise refusals.invalid(f"`{key}` is deprecated for this model.")
    if body.top_k is not None and not model.sampling:
        raise refusals.invalid("`top_k` is deprecated for this model.")
    if body.temperature is not None and body.top_p is not None and not model.sampling_pair:
        raise refusals.invalid(
            "`temperature` and `top_p` cannot both be specified for this model. "
            "Please use only one."
        )


def _check_limits(body: Body, model: Traits) -> None:
    if body.max_tokens > model.most_tokens:
        raise refusals.invalid(
            f"max_tokens: {body.max_tokens} > {model.most_tokens}, which is the maximum allowed "
            f"number of output tokens for {body.model}"
        )
    for sequence in body.stop_sequences or []:
        if not sequence.strip():
            raise refusals.invalid("stop_sequences: each stop sequence must contain non-whitespace")


def _check_thinking(body: Body, model: Traits, betas: str) -> None:
    thinking = body.thinking
    if thinking is None:
        return
    if thinking.type not in model.thinking:
        hint = (
            " Use `thinking.type.adaptive` and `output_config.effort` to control thinking behavior."
            if "adaptive" in model.thinking
            else ""
        )
        raise refusals.invalid(
            f'"thinking.type.{thinking.type}" is not supported for this model.{hint}'
        )
    if thinking.type == "adaptive" and thinking.block_binding and _BINDING_BETA not in betas:
        raise refusals.invalid("thinking.adaptive.block_binding: Extra inputs are not permitted")
    if thinking.type != "enabled":
        return
    if thinking.budget_tokens >= body.max_tokens:
        raise refusals.invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if body.temperature not in (None, 1):
        raise refusals.invalid("`temperature` may only be set to 1 when thinking is enabled.")
    if body.tool_choice is not None and body.tool_choice.type in {"any", "tool"}:
        raise refusals.invalid("Thinking may not be enabled when tool_choice forces tool use.")
    turns.check_loop_begins_with_thinking(body)


def _check_tools(
    body: Body, payload: JsonObject, model: Traits, complexity: schemas.Complexity
) -> None:
    tools = body.tools or []
    if not model.structured_outputs and any(
        isinstance(tool, CustomTool) and tool.strict for tool in tools
    ):
        raise refusals.invalid("tools: strict tools are not supported on this model.")
    names = [tool.name for tool in tools if tool.name]
    if len(names) != len(set(names)):
        raise refusals.invalid("tools: Tool names must be unique.")
    for i, tool in enumerate(tools):
        if isinstance(tool, CustomTool):
            schema: JsonObject = payload["tools"][i]["input_schema"]
            schemas.check_input_schema(
                schema, f"tools.{i}.custom", strict=bool(tool.strict), complexity=complexity
            )
        else:
            search.check_tool(tool, payload["tools"][i], f"tools.{i}")
    choice = body.tool_choice
    if choice is None:
        return
    if not tools:
        raise refusals.invalid("tool_choice: may only be specified while providing tools.")
    if choice.type in {"any", "tool"} and not model.forced_tools:
        raise refusals.invalid(
            f"tool_choice: type '{choice.type}' is not supported on this model; "
            "use 'auto' or 'none'."
        )
    if choice.type == "tool" and choice.name not in names:
        raise refusals.invalid(f"Tool '{choice.name}' not found in provided tools")


def _check_output(body: Body, model: Traits, complexity: schemas.Complexity) -> None:
    config = body.output_config
    if config is None:
        return
    if config.effort is not None and config.effort not in model.efforts:
        if not model.efforts:
            raise refusals.invalid("This model does not support the effort parameter.")
        raise refusals.invalid(
            f"This model does not support effort level '{config.effort}'. "
            f"Supported levels: {', '.join(sorted(model.efforts))}."
        )
    if config.format is not None:
        _check_format(body, model)
        schemas.check_closed(config.format.json_schema, "output_config.format.schema", complexity)


def _check_format(body: Body, model: Traits) -> None:
    if not model.structured_outputs:
        raise refusals.invalid("output_config.format: This model does not support output format.")
    if any(isinstance(tool, ServerTool) and "search" in tool.type for tool in body.tools or []):
        raise refusals.invalid("output_config.format: not supported together with citations.")
    if body.messages and body.messages[-1].role == "assistant":
        raise refusals.invalid("output_config.format: not supported together with prefill.")


def _check_marks(payload: JsonObject) -> None:
    marks = _marks(payload)
    if marks > _MOST_MARKS:
        raise refusals.invalid(
            f"A maximum of {_MOST_MARKS} blocks with cache_control may be provided. Found {marks}."
        )
    lasting = [mark.get("ttl") == "1h" for mark in _in_order(payload)]
    if lasting != sorted(lasting, reverse=True):
        raise refusals.invalid(
            "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. "
            "Note that blocks are processed in the following order: `tools`, `system`, `messages`."
        )


def _in_order(value: Any) -> Iterator[JsonObject]:
    """Yield the marks in the order of the prompt."""
    for item in as_list(value) or []:
        yield from _in_order(item)
    if (found := as_object(value)) is not None:
        for key in ("tools", "system", "messages", "content"):
            yield from _in_order(found.get(key))
        if (mark := as_object(found.get("cache_control"))) is not None:
            yield mark


def _marks(value: Any) -> int:
    """Count the marks wherever they stand; `input` and schemas are the user's own data."""
    if isinstance(value, list):
        return sum(_marks(item) for item in value)  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(value, dict):
        return 0
    own = 1 if value.get("cache_control") else 0  # pyright: ignore[reportUnknownMemberType]
    inner = ("system", "messages", "tools", "content", "source")
    return own + sum(_marks(value[key]) for key in inner if key in value)
