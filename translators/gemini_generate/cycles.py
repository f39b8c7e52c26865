"""Cycles of references, where the API does not follow them.

`GenerateContentConfig.response_json_schema` of google-genai 3.4: "Cyclic references are unrolled
to a limited degree and, as such, may only be used within non-required properties." A cycle that
goes through required properties is opened at the innermost of them, which is required no more;
one that goes through none (an array of itself) at the reference. What that takes away is told to
the model in the description.
"""

from typing import Any, cast

__all__ = ["open_cycles"]

_Object = dict[str, Any]

_MAX_DEPTH = 400


def open_cycles(root: _Object) -> list[tuple[_Object, _Object]] | None:
    """Open the cycles of a schema, in place.

    Args:
        root: In the API's form: references lead to its `$defs`.

    Returns:
        The schemas that have lost something, and what it was, to be told; None where the schema
        is too deep to be followed.
    """
    search = _Search(root)
    try:
        search.visit(root, 0)
    except _TooDeep:
        return None
    return [(schema, {"required": names}) for schema, names in search.opened] + search.cut


class _TooDeep(Exception):
    """The schemas are nested beyond the limit."""


class _Search:
    def __init__(self, root: _Object) -> None:
        self._definitions = cast("_Object", root.get("$defs") or {})
        # Where each reference that is being followed was entered, counted in required properties.
        self._inside: dict[str, int] = {}
        self._required: list[tuple[_Object, str]] = []
        self._done: set[str] = set()
        self.opened: list[tuple[_Object, list[str]]] = []
        self.cut: list[tuple[_Object, _Object]] = []

    def visit(self, schema: Any, depth: int) -> None:
        """Follow a schema along everything that an instance of it must have."""
        if not isinstance(schema, dict):
            return
        if depth > _MAX_DEPTH:
            raise _TooDeep
        node = cast("_Object", schema)
        if isinstance(node.get("$ref"), str):
            self._follow(node, depth)
        for name in ("anyOf", "oneOf", "prefixItems"):
            for member in cast("list[Any]", node.get(name) or ()):
                self.visit(member, depth + 1)
        for name in ("items", "additionalProperties"):
            self.visit(node.get(name), depth + 1)
        properties = cast("_Object", node.get("properties") or {})
        for name, member in properties.items():
            if name in _required(node):
                self._required.append((node, name))
                self.visit(member, depth + 1)
                self._required.pop()

    def _follow(self, node: _Object, depth: int) -> None:
        reference = str(node["$ref"])
        entered = self._inside.get(reference)
        if entered is not None:
            self._open(node, self._required[entered:])
        elif reference not in self._done:
            self._inside[reference] = len(self._required)
            name = reference.removeprefix("#/$defs/")
            self.visit(self._definitions.get(name), depth + 1)
            del self._inside[reference]
            self._done.add(reference)

    def _open(self, node: _Object, required: list[tuple[_Object, str]]) -> None:
        if not required:
            reference = node.pop("$ref")
            self.cut.append((node, {"$ref": reference}))
            return
        owner, name = required[-1]
        if name not in _required(owner):
            return  # Another way round has opened it already.
        kept = [entry for entry in _required(owner) if entry != name]
        owner.pop("required")
        if kept:
            owner["required"] = kept
        told = next((names for schema, names in self.opened if schema is owner), None)
        if told is None:
            self.opened.append((owner, [name]))
        else:
            told.append(name)


def _required(node: _Object) -> list[Any]:
    names = node.get("required")
    return cast("list[Any]", names) if isinstance(names, list) else []
