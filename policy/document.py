"""YAML text to plain data that remembers where each of its keys stands.

A policy is read by people who fix it, so every later error must find its line. Of YAML we take
the part that means the same to everybody: mappings with text keys, lists, text, numbers,
`true`/`false`, `null`. Duplicate keys, aliases, merge keys, dates and tags are refused: the
first loses data in silence, the second can grow without bound, the others surprise.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from policy.errors import PolicyError, raise_all

__all__ = ["Document", "KeyPath", "Position", "overlay", "parse", "spelled"]

KeyPath = tuple[str | int, ...]
"""The way from the root to a value: names of keys and positions in lists."""

_PREFIX = "tag:yaml.org,2002:"
_PLAIN = frozenset(_PREFIX + kind for kind in ("str", "int", "float", "bool", "null"))
# Deeper than any policy; well below what the parser's recursion survives.
_DEEPEST = 32


class Position(NamedTuple):
    """A place in a file; line and column from 1."""

    source: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """A mapping, and where each of its keys and list items stands."""

    source: str
    data: dict[str, Any]
    positions: Mapping[KeyPath, Position]

    def known(self, path: KeyPath) -> KeyPath:
        """Return the longest beginning of `path` that stands in the file."""
        while path and path not in self.positions:
            path = path[:-1]
        return path

    def error(self, path: KeyPath, problem: str, remedy: str = "") -> PolicyError:
        """Return the error to raise for the value at `path`."""
        known = self.known(path)
        if not known:
            return PolicyError(self.source, None, spelled(path), problem, remedy)
        position = self.positions[known]
        return PolicyError(position.source, position.line, spelled(known), problem, remedy)


def spelled(path: KeyPath) -> str:
    """Return a path as people write it: `personas.architect.requires[0]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def parse(
    text: str, source: str, *, begin: str = "Begin with `personas:` or `providers:`."
) -> Document:
    """Read YAML; an empty text is an empty mapping.

    Args:
        text: The YAML.
        source: What errors call it: the name of its file.
        begin: What to do where the root is no mapping, as a sentence.

    Raises:
        PolicyError: It is not YAML, or uses what is refused here, or its root is no mapping.
    """
    root = _compose(text, source)
    if root is None or root.tag == _PREFIX + "null":
        return Document(source, {}, {})
    if not isinstance(root, MappingNode):
        raise PolicyError(
            source,
            root.start_mark.line + 1,
            problem="the file must be a mapping of keys to values",
            remedy=begin,
        )
    builder = _Builder(source)
    data = builder.mapping(root, ())
    raise_all(builder.errors)
    return Document(source, data, builder.positions)


def overlay(
    base: Document, top: Document, data: dict[str, Any], merges: Callable[[KeyPath], bool]
) -> Document:
    """Return a document of `data`, whose keys stand in `top`, else in `base`.

    Args:
        base: The document below.
        top: The document above; its source is the new one's.
        data: The values of both, merged.
        merges: Whether a mapping that stands in both is merged, not replaced.
    """
    positions = dict(top.positions)
    for path, position in base.positions.items():
        above = top.known(path)
        if above != path and (not above or merges(above)):
            positions[path] = position
    return Document(top.source, data, positions)


class _Composer(yaml.SafeLoader):
    """Composes nodes; refuses aliases, so that no small file becomes a large value."""

    depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event = cast("yaml.Event", cast("Any", self).peek_event())
        refused = None
        if isinstance(event, yaml.AliasEvent):
            refused = "an alias (`*name`) is not supported; write the value out"
        self.depth += 1
        if self.depth > _DEEPEST:
            refused = "it is nested too deeply"
        if refused is not None:
            raise yaml.MarkedYAMLError(problem=refused, problem_mark=cast("Any", event.start_mark))
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _compose(text: str, source: str) -> Node | None:
    try:
        loader = _Composer(text)
        try:
            return loader.get_single_node()
        finally:
            cast("Any", loader).dispose()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise PolicyError(
            source, line, problem="there is a character that YAML does not allow"
        ) from None
    except yaml.MarkedYAMLError as error:
        # The mark's own text quotes the line, which may hold a secret: only its number is used.
        mark = error.problem_mark or error.context_mark
        problem = error.problem or "this is not YAML"
        remedy = "Indent with spaces." if "'\\t'" in problem else ""
        raise PolicyError(
            source, None if mark is None else mark.line + 1, "", problem, remedy
        ) from None


class _Builder:
    """Turns nodes into values, notes their places, and collects what is refused."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._scalars = cast("Any", yaml.SafeLoader(""))
        self.positions: dict[KeyPath, Position] = {}
        self.errors: list[PolicyError] = []

    def mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        """Return the value of a mapping."""
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            if key is None:
                continue
            here = (*path, key)
            if key in data:
                self._refuse(
                    key_node,
                    here,
                    f"the key `{key}` stands here twice, first in line {self.positions[here].line}",
                    "Keep one of the two, or rename one.",
                )
                continue
            self._note(key_node, here)
            data[key] = self._value(value_node, here)
        return data

    def _key(self, node: Node, path: KeyPath) -> str | None:
        if isinstance(node, ScalarNode) and node.tag == _PREFIX + "str":
            return cast("str", node.value)
        written = f" `{node.value}`" if isinstance(node, ScalarNode) else ""
        self._refuse(node, path, f"the key{written} is not text", "Put it in quotes.")
        return None

    def _value(self, node: Node, path: KeyPath) -> Any:
        match node:
            case MappingNode():
                return self.mapping(node, path)
            case SequenceNode():
                items: list[Any] = []
                for index, item in enumerate(node.value):
                    self._note(item, (*path, index))
                    items.append(self._value(item, (*path, index)))
                return items
            case ScalarNode():
                return self._scalar(node, path)
            case _:
                raise AssertionError(f"YAML has no other nodes: {type(node).__name__}")

    def _scalar(self, node: ScalarNode, path: KeyPath) -> Any:
        if node.tag in _PLAIN:
            try:
                return self._scalars.construct_object(node)
            except ValueError:  # a number of more digits than Python reads
                self._refuse(node, path, "this number cannot be read", "Put text in quotes.")
                return None
        kind = node.tag.removeprefix(_PREFIX)
        self._refuse(
            node, path, f"values of type `{kind}` are not supported", "Put text in quotes."
        )
        return None

    def _note(self, node: Node, path: KeyPath) -> None:
        mark = node.start_mark
        self.positions[path] = Position(self._source, mark.line + 1, mark.column + 1)

    def _refuse(self, node: Node, path: KeyPath, problem: str, remedy: str) -> None:
        line = node.start_mark.line + 1
        self.errors.append(PolicyError(self._source, line, spelled(path), problem, remedy))
