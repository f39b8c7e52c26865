"""The schema of a tool that is not strict: the API leaves all of it to the model, but its root.

"input_schema does not support oneOf, allOf, or anyOf at the top level", and its type is `object`.
"""

from collections.abc import Iterator
from typing import Any, cast

from translators.anthropic_messages.content import Block
from translators.anthropic_messages.schema_parts import annotate, resolve

__all__ = ["open_root"]

_UNIONS = ("allOf", "anyOf", "oneOf")


def open_root(schema: Block) -> tuple[Block, bool]:
    """Return the schema with an object for its root, and whether it had to be changed.

    A union at the root is told in the description; its properties are kept.

    Raises:
        ValueError: It describes no object, or a reference in it leads nowhere.
    """
    if not schema.keys() & {"$ref", *_UNIONS}:
        kind = schema.get("type", "object")
        if kind == "object":
            return (schema if "type" in schema else {"type": "object", **schema}), False
        if not isinstance(kind, list) or "object" not in kind:
            raise ValueError("the arguments of a tool are an object")
        return {**schema, "type": "object"}, True
    root: Block = {}
    told: Block = {}
    properties: Block = {}
    own = True
    for part in _parts(schema, schema, set()):
        more: Any = part.get("properties")
        for name, entry in cast("Block", more).items() if isinstance(more, dict) else ():
            properties.setdefault(name, entry)
        # What the root refers to is the root, too; the members of its unions are not.
        if own:
            told = {**{name: part[name] for name in _UNIONS if name in part}, **told}
            rest = part.keys() - {"$ref", *_UNIONS}
            root = {**{name: part[name] for name in part if name in rest}, **root}
        own = own and "$ref" in part
    native: Block = {**root, "type": "object", "properties": properties}
    if told:
        annotate(native, root, told)
    return native, True


def _parts(root: Block, schema: Block, seen: set[int]) -> Iterator[Block]:
    """Yield a schema, what it refers to, and the members of its unions; each once."""
    if id(schema) in seen:
        return
    seen.add(id(schema))
    yield schema
    reference = schema.get("$ref")
    target = resolve(root, reference) if isinstance(reference, str) else None
    if isinstance(target, dict):
        yield from _parts(root, cast("Block", target), seen)
    for name in _UNIONS:
        members: Any = schema.get(name)
        for member in cast("list[Any]", members) if isinstance(members, list) else ():
            if isinstance(member, dict):
                yield from _parts(root, cast("Block", member), seen)
