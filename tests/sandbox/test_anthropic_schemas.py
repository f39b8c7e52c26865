"""Schemas that the service cannot enforce are refused, and what else it refuses of late."""

from typing import Any

import pytest

from .conftest import Wire

_STRING: Any = {"type": "string"}
_MANY: Any = {f"p{i}": _STRING for i in range(25)}


def _closed(**properties: Any) -> Any:
    return {"type": "object", "properties": properties, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        (_closed(a={}), "must have a 'type'"),
        (_closed(a={"type": "quark"}), "'quark' is not a type"),
        (_closed(a={"type": "array"}), "'items' is required"),
        (_closed(a={"type": "string", "format": "iban"}), "format 'iban' is not supported"),
        (_closed(a={"enum": [{}]}), "'enum' values must be scalars"),
        (_closed(a={"anyOf": [_STRING, {"type": "object"}]}), "'additionalProperties' must be"),
        (_closed(a={"type": "string", "not": {}}), "property 'not' is not supported"),
        (_closed(a={"oneOf": [_STRING]}), "property 'oneOf' is not supported"),
        (_closed(a={"type": "array", "items": _STRING, "minItems": 2}), "'minItems' values other"),
        (_closed(a={"$ref": "#"}), "Circular reference detected"),
        (_closed(a={"$ref": "#/$defs/A"}), "does not point to a definition"),
        (
            {
                **_closed(a={"$ref": "#/$defs/A"}),
                "$defs": {"A": _closed(b={"$ref": "#/$defs/B"}), "B": {"$ref": "#/$defs/A"}},
            },
            "Circular reference detected",
        ),
        (_closed(**_MANY), "Schema is too complex"),
        (
            _closed(**{n: {"anyOf": [_STRING, {"type": "null"}]} for n in list(_MANY)[:17]}),
            "complex",
        ),
    ],
)
async def test_schema_is_refused(wire: Wire, schema: Any, fault: str) -> None:
    form = {"format": {"type": "json_schema", "schema": schema}}
    answer = await wire.anthropic(output_config=form)
    assert answer.status_code == 400
    assert fault in answer.json()["error"]["message"]
    strict = await wire.anthropic(tools=[{"name": "t", "input_schema": schema, "strict": True}])
    assert strict.status_code == 400
    assert fault in strict.json()["error"]["message"]
    lax = await wire.anthropic(tools=[{"name": "t", "input_schema": schema}])
    assert lax.status_code == 200


async def test_tools_and_answer_share_their_complexity(wire: Wire) -> None:
    schema = _closed(**{name: _STRING for name in list(_MANY)[:13]})
    tool = {"name": "t", "input_schema": schema, "strict": True}
    form = {"format": {"type": "json_schema", "schema": schema}}
    assert (await wire.anthropic(tools=[tool])).status_code == 200
    both = await wire.anthropic(tools=[tool], output_config=form)
    assert "too complex" in both.json()["error"]["message"]


_FORM: Any = {"format": {"type": "json_schema", "schema": _closed()}}
_SEARCH: Any = {"type": "web_search_20260318", "name": "web_search"}
_USER: Any = {"role": "user", "content": "x"}
_CALL: Any = {"type": "tool_use", "id": "a", "name": "t", "input": {}}
_RESULT: Any = {"type": "tool_result", "tool_use_id": "a"}
_TOOL: Any = {"name": "t", "input_schema": {"type": "object"}}
_LASTING: Any = {"type": "ephemeral", "ttl": "1h"}


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"model": "claude-3-5-haiku-latest", "output_config": _FORM}, "output format"),
        (
            {"model": "claude-3-5-haiku-latest", "tools": [{**_TOOL, "strict": True}]},
            "strict tools",
        ),
        ({"output_config": _FORM, "tools": [_SEARCH]}, "together with citations"),
        (
            {
                "model": "claude-haiku-4-5",
                "output_config": _FORM,
                "messages": [_USER, {"role": "assistant", "content": "{"}],
            },
            "together with prefill",
        ),
        (
            {
                "model": "claude-haiku-4-5",
                "thinking": {"type": "enabled", "budget_tokens": 1024},
                "tools": [_TOOL],
                "messages": [
                    _USER,
                    {"role": "assistant", "content": [_CALL]},
                    {"role": "user", "content": [_RESULT]},
                ],
            },
            "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found",
        ),
        (
            {
                "tools": [{**_TOOL, "cache_control": {"type": "ephemeral"}}],
                "system": [{"type": "text", "text": "s", "cache_control": _LASTING}],
            },
            "must not come after a ttl='5m'",
        ),
        (
            {
                "cache_control": _LASTING,
                "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
            },
            "must not come after a ttl='5m'",
        ),
    ],
)
async def test_refused(wire: Wire, fields: Any, fault: str) -> None:
    answer = await wire.anthropic(**fields)
    assert answer.status_code == 400
    assert fault in answer.json()["error"]["message"]


async def test_longer_marks_may_come_first(wire: Wire) -> None:
    answer = await wire.anthropic(
        tools=[{**_TOOL, "cache_control": _LASTING}],
        system=[{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    )
    assert answer.status_code == 200
