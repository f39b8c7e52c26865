"""JSON schemas that go to the API as they stand.

Those of most tools say nothing but what the API reads. To see that takes an eighth of what it takes
to write them anew (2.3 against 18 µs for an object of six fields); whatever is in doubt is written
anew by `translators.gemini_generate.schema`, to which this is a shortcut and nothing else.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

__all__ = ["is_plain"]

_Object = dict[str, Any]

_MAX_DEPTH = 100
_MAX_NODES = 10_000


def is_plain(schema: _Object) -> bool:
    """Whether the schema of a function's arguments would be written as it stands."""
    return "type" in schema and _all_plain(schema)


def _all_plain(schema: _Object) -> bool:
    # Level by level: a client's schema may be of any depth.
    level: list[Any] = [schema]
    nodes = 0
    for _ in range(_MAX_DEPTH):
        below: list[Any] = []
        nodes += len(level)
        if nodes > _MAX_NODES:
            return False
        for node in level:
            if not isinstance(node, dict) or not _takes_plain(cast("_Object", node), below):
                return False
        if not below:
            return True
        level = below
    return False


def _takes_plain(node: _Object, below: list[Any]) -> bool:
    """Whether a schema is plain but for those inside of it, which are put into `below`."""
    for keyword, value in node.items():
        if isinstance(value, str) and keyword in _TEXTS:
            continue  # Most of them.
        takes = _TAKES.get(keyword)
        if takes is None or not takes(value, below):
            return False
    return True


def _anything(value: Any, _below: list[Any]) -> bool:
    return value is not None


def _are_texts(value: Any, _below: list[Any]) -> bool:
    entries = cast("list[Any]", value) if isinstance(value, list) else [None]
    return all(isinstance(entry, str) for entry in entries)


def _choices(value: Any, below: list[Any]) -> bool:
    return bool(value) and _are_texts(value, below)


def _schema(value: Any, below: list[Any]) -> bool:
    below.append(value)
    return True


def _schema_or_bool(value: Any, below: list[Any]) -> bool:
    return isinstance(value, bool) or _schema(value, below)


def _named_schemas(value: Any, below: list[Any]) -> bool:
    if isinstance(value, dict):
        below += cast("_Object", value).values()
    return isinstance(value, dict)


def _schemas(value: Any, below: list[Any]) -> bool:
    if isinstance(value, list):
        below += cast("list[Any]", value)
    return isinstance(value, list)


_TEXTS: Final = frozenset({"type", "description", "format", "title"})
"""Keywords that go out as they stand where they are a text."""

_TAKES: Final[Mapping[str, Callable[[Any, list[Any]], bool]]] = {
    **dict.fromkeys(
        (
            *("description", "format", "title", "minItems", "maxItems", "minimum", "maximum"),
            "propertyOrdering",
        ),
        _anything,
    ),
    "required": _are_texts,
    "enum": _choices,
    "properties": _named_schemas,
    "items": _schema,
    "additionalProperties": _schema_or_bool,
    **dict.fromkeys(("anyOf", "oneOf", "prefixItems"), _schemas),
}
"""Others that do, each with what its value must be for that."""
