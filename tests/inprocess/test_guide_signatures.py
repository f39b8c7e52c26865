"""What the integration guide declares, compared with what is there; its policies, loaded."""

import ast
import dataclasses
import inspect
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from execution_platform import spi
from execution_platform.router import PersonaRouter

from proxy.config import load_policy
from tests.guide import Block, block, parameters

QUALITY_FABRIC = {"Custom Quality Gates"}
"""Blocks that are no policy: another module answers for them, with its own tests."""

NAMES = {
    **{name: getattr(spi, name) for name in spi.__all__},
    **{name: getattr(typing, name) for name in ("List", "Optional")},
    "dataclass": dataclass,
}


def members(hint: Any) -> set[Any]:
    """Return the types of a union; `List[X]` and `list[X]` are the same."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return {one for argument in typing.get_args(hint) for one in members(argument)}
    origin = typing.get_origin(hint)
    if origin is None:
        return {hint}
    inner = tuple(frozenset(members(argument)) for argument in typing.get_args(hint))
    return {(origin, inner)}


def declared(name: str) -> type:
    namespace: dict[str, Any] = {**NAMES, "__name__": __name__}
    exec(compile(block(name).text, "<guide>", "exec", dont_inherit=True), namespace)
    return namespace[name]


@pytest.mark.parametrize("name", ["ChatRequest", "Message", "ChatChunk"])
def test_the_fields_come_first_in_their_order_with_their_types_and_defaults(name: str) -> None:
    promised, ours = declared(name), getattr(spi, name)
    wanted, there = dataclasses.fields(promised), dataclasses.fields(ours)
    assert len(wanted) >= 3
    hints, promised_hints = typing.get_type_hints(ours), typing.get_type_hints(promised)
    for field, own in zip(wanted, there, strict=False):
        assert field.name == own.name
        assert field.default == own.default, field.name
        expected, found = members(promised_hints[field.name]), members(hints[field.name])
        if (name, field.name) == ("Message", "content"):
            # Parts are taken beside text, and calls alone have neither.
            assert expected < found
        else:
            assert expected == found, field.name


def test_what_comes_after_the_promised_fields_may_be_left_out() -> None:
    for name in ("ChatRequest", "Message", "ChatChunk"):
        for field in dataclasses.fields(getattr(spi, name))[
            len(dataclasses.fields(declared(name))) :
        ]:
            default = (field.default, field.default_factory)
            assert default != (dataclasses.MISSING, dataclasses.MISSING), f"{name}.{field.name}"


def test_the_router_has_the_promised_methods() -> None:
    (promised,) = ast.parse(block("PersonaRouter").text).body
    assert isinstance(promised, ast.ClassDef)
    methods = [node for node in promised.body if isinstance(node, ast.FunctionDef)]
    assert [method.name for method in methods] == ["select_provider", "get_client"]
    for method in methods:
        ours = getattr(PersonaRouter, method.name)
        signature, hints = inspect.signature(ours), typing.get_type_hints(ours)
        arguments = method.args.args
        assert [argument.arg for argument in arguments] == list(signature.parameters)
        for argument in arguments[1:]:
            assert argument.annotation is not None
            assert ast.unparse(argument.annotation) == hints[argument.arg].__name__
        assert method.returns is not None
        assert ast.unparse(method.returns) == hints["return"].__name__


@pytest.mark.parametrize("found", parameters("yaml", but=QUALITY_FABRIC))
def test_every_policy_loads_and_its_personas_are_served(found: Block, tmp_path: Path) -> None:
    path = tmp_path / "persona_policy.yaml"
    path.write_text(found.text)
    policy = load_policy(path, {})
    assert policy.personas
    router = PersonaRouter(policy=path, sandbox=True)
    for name, persona in policy.personas.items():
        wanted = [preference.provider for preference in persona.provider_preferences]
        assert router.select_provider(name) in wanted


def test_what_is_no_policy_is_named_rightly() -> None:
    assert "quality_gates:" in block("Custom Quality Gates", "yaml").text
