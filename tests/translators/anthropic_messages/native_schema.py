"""Checks a body against the Anthropic SDK's own types, unknown keys included.

pydantic would check `Iterable[…]` lazily and unknown keys of nested TypedDicts not at all, so
the types are walked here.
"""

import types
from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, Required, Union, cast, get_args, get_origin

from anthropic.types.beta import BetaThinkingConfigParam
from anthropic.types.message_create_params import (
    MessageCreateParamsNonStreaming,
    MessageCreateParamsStreaming,
)
from typing_extensions import (
    get_type_hints,
    is_typeddict,
)

SAMPLING = frozenset({"temperature", "top_p", "top_k"})
"""Left out of the SDK's types since 2026-10-21, and still taken by older models."""

_SCALARS: dict[Any, tuple[type, ...]] = {
    str: (str,),
    int: (int,),
    float: (int, float),
    bool: (bool,),
    type(None): (type(None),),
}


def problems_of(body: dict[str, Any]) -> list[str]:
    """Return what the SDK's types object to."""
    checked = {name: value for name, value in body.items() if name not in SAMPLING}
    kind = MessageCreateParamsStreaming if body.get("stream") else MessageCreateParamsNonStreaming
    found: list[str] = []
    if "block_binding" in body.get("thinking", {}):
        # A beta, and so in other types.
        found = _problems(checked.pop("thinking"), BetaThinkingConfigParam, "body.thinking")
    return found + _problems(checked, kind, "body")


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _problems(value: Any, kind: Any, path: str) -> list[str]:
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any or kind is object:
        return []
    if origin in (Required, NotRequired, Annotated):
        return _problems(value, args[0], path)
    if is_typeddict(kind):
        return _object(value, kind, path)
    if origin in (Union, types.UnionType):
        return _union(value, args, path)
    if origin is Literal:
        return [] if value in args else [f"{path}: {value!r} is none of {args}"]
    if origin is dict:
        return [] if isinstance(value, dict) else [f"{path}: no object"]
    if kind in _SCALARS:
        fits = isinstance(value, _SCALARS[kind]) and (kind in (bool, object) or value is not True)
        return [] if fits else [f"{path}: {value!r} is no {kind}"]
    if _is_list(origin):
        if not isinstance(value, list):
            return [f"{path}: no array"]
        entries = enumerate(cast("list[Any]", value))
        return [p for i, entry in entries for p in _problems(entry, args[0], f"{path}[{i}]")]
    return [f"{path}: {kind} is not known to this check"]


def _is_list(origin: Any) -> bool:
    return origin is not None and (
        origin is list or issubclass(cast("type", origin), Iterable) or _is_sequence(origin)
    )


def _is_sequence(origin: Any) -> bool:
    return getattr(origin, "__name__", "") == "SequenceNotStr"


def _object(value: Any, kind: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: no object"]
    fields, hints = cast("dict[str, Any]", value), _hints(kind)
    # `__required_keys__` does not see through annotations that are strings.
    required = {name for name, hint in hints.items() if get_origin(hint) is Required}
    found = [f"{path}: lacks {name}" for name in sorted(required - fields.keys())]
    for name, entry in fields.items():
        if name in hints:
            found += _problems(entry, hints[name], f"{path}.{name}")
        elif getattr(kind, "__pydantic_config__", {}).get("extra") != "allow":
            found.append(f"{path}: {kind.__name__} has no {name}")
    return found


def _union(value: Any, members: tuple[Any, ...], path: str) -> list[str]:
    found = [_problems(value, member, path) for member in members]
    return min(found, key=len)
