"""JSON schemas in the part of JSON Schema that the API reads.

https://ai.google.dev/gemini-api/docs/structured-output#json-schema-support lists the keywords, as
does `GenerateContentConfig.response_json_schema` of google-genai 3.4.

1. References stay references, which ends every cycle (`translators.gemini_generate.cycles` opens
   those that the API does not follow); whatever place they point to becomes an
   entry of `$defs` at the root, the only place that is read. A reference that leads nowhere is
   refused: the schema would mean something else.
2. `const` becomes an `enum` of one, `allOf` is merged, `nullable` becomes a type.
3. A constraint without a keyword there, and what cannot be merged, is told to the model in the
   description: the schema is then not exact.
4. What stays keeps its order: a schema is part of the prompt, and of what is cached of it.
"""

from collections import deque
from typing import Any, cast
from urllib.parse import unquote

from translators.fidelity import ReportBuilder
from translators.gemini_generate.cycles import open_cycles
from translators.gemini_generate.merge import ANNOTATIONS, SILENT, both, misshapen, size
from translators.json import encode

__all__ = ["to_checked_schema", "to_schema"]

_Object = dict[str, Any]

_COPIED = frozenset(
    {
        *("type", "format", "title", "description", "enum", "minItems", "maxItems", "minimum"),
        *("maximum", "required", "propertyOrdering"),
    }
)
_SCHEMAS = frozenset({"anyOf", "oneOf", "prefixItems"})
"""Keywords whose value is a list of schemas."""

_MAX_DEPTH = 200
_MAX_MERGES = 2_000
_MAX_NODES = 20_000
_MAX_ENTRIES = 200_000
"""What may be read, and what merged, for one schema; references can make much of little."""


def to_schema(
    schema: _Object,
    *,
    path: str,
    general: str,
    report: ReportBuilder,
    root_is_object: bool = False,
) -> _Object:
    """Return `schema` as the API reads it.

    Args:
        schema: Of any draft of JSON Schema; it is left as it is.
        path: Where it stands in the request, for a refusal.
        general: The same without indexes, for the report.
        report: Where to say what was not carried over as it stood.
        root_is_object: Whether it must describe an object, as that of a function must.

    Raises:
        TranslationError: A reference in it leads nowhere, or it is no JSON schema, or too large.
    """
    return to_checked_schema(
        schema, path=path, general=general, report=report, root_is_object=root_is_object
    )[0]


def to_checked_schema(
    schema: _Object,
    *,
    path: str,
    general: str,
    report: ReportBuilder,
    root_is_object: bool = False,
) -> tuple[_Object, bool]:
    """Return the same, and whether it is exact: whether what it allows the original allows too."""
    normaliser = _Normaliser(schema, path=path, general=general, report=report)
    native = normaliser.schema(schema, 0)
    if root_is_object:
        native = _as_object(native, normaliser)
    if definitions := normaliser.definitions():
        native["$defs"] = definitions
        lost = open_cycles(native)
        if lost is None:
            raise report.reject(path, "the schema is too deep.")
        for place, told in lost:
            report.emulated(general)
            normaliser.exact = False
            _tell(place, told)
    return native, normaliser.exact


def _as_object(native: _Object, normaliser: "_Normaliser") -> _Object:
    # "must describe an object where the properties are the parameters": no reference.
    seen: set[str] = set()
    while (reference := native.get("$ref")) is not None and reference not in seen:
        seen.add(reference)
        native = normaliser.target(reference)
    native = {name: entry for name, entry in native.items() if name != "$ref"}
    return native if "type" in native else {"type": "object", **native}


class _Normaliser:
    """Writes one schema anew."""

    def __init__(self, root: _Object, *, path: str, general: str, report: ReportBuilder) -> None:
        self.exact = True
        self._root = root
        self._path = path
        self._general = general
        self._report = report
        self._names: dict[str, str] = {}
        self._pointers: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        self._anchors: _Object | None = None
        self._waiting: deque[str] = deque()
        self._written: _Object = {}
        self._merges = self._nodes = self._entries = 0

    def definitions(self) -> _Object:
        """Return what the references point to, by name; writing one may add others."""
        while self._waiting:
            pointer = self._waiting.popleft()
            self._written[self._names[pointer]] = self.schema(self._resolve(pointer), 0)
        return self._written

    def target(self, reference: str) -> _Object:
        """Return what a reference that was written points to."""
        name = reference.removeprefix("#/$defs/")
        return self.schema(self._resolve(self._pointers[name]), 0)

    def schema(self, value: Any, depth: int) -> _Object:
        """Return a schema in the API's form."""
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise self._report.reject(self._path, f"it has more than {_MAX_NODES} schemas in it.")
        if depth > _MAX_DEPTH:
            raise self._report.reject(self._path, "the schema is too deep.")
        if not isinstance(value, dict):
            if value is not True:
                self._loses()
            return {} if value is True else {"description": "Nothing is allowed here."}
        source = self._checked(cast("_Object", value))
        if source.get("nullable") is True and not _takes_null(source):
            rest = {name: entry for name, entry in source.items() if name != "nullable"}
            return {"anyOf": [self.schema(rest, depth + 1), {"type": "null"}]}
        if "allOf" in source:
            source = self._merged(source, depth)
        elif "$ref" in source:
            return self._reference(source, depth)
        return self._written_anew(source, depth)

    def _written_anew(self, source: _Object, depth: int) -> _Object:
        """Return a schema without a reference; what is in its `allOf` could not be merged."""
        if source.get("nullable") is True and not _takes_null(source):
            rest = {name: entry for name, entry in source.items() if name != "nullable"}
            return {"anyOf": [self._written_anew(rest, depth), {"type": "null"}]}
        native: _Object = {}
        told: _Object = {"allOf": source["allOf"]} if source.get("allOf") else {}
        for name, entry in source.items():
            self._keyword(name, entry, native, told, depth)
        self._specials(source, native, told)
        if told:
            self._report.emulated(self._general)
            self.exact = self.exact and told.keys() <= ANNOTATIONS
            _tell(native, told)
        return native

    def _loses(self) -> None:
        self._report.emulated(self._general)
        self.exact = False

    def _checked(self, source: _Object) -> _Object:
        """Return a schema without keywords that are null.

        Raises:
            TranslationError: A keyword is not what JSON Schema says it is.
        """
        if (name := misshapen(source)) is not None:
            raise self._report.reject(
                self._path, f"its `{name}` is not what JSON Schema says it is."
            )
        return {n: e for n, e in source.items() if e is not None or n not in _NEVER_NULL}

    def _keyword(self, name: str, entry: Any, native: _Object, told: _Object, depth: int) -> None:
        if name in _COPIED:
            native[name] = entry
        elif name in _SCHEMAS and isinstance(entry, list):
            members = cast("list[Any]", entry)
            native[name] = [self.schema(member, depth + 1) for member in members]
        elif name == "properties" and isinstance(entry, dict):
            properties = cast("_Object", entry)
            native[name] = {key: self.schema(v, depth + 1) for key, v in properties.items()}
        elif name == "items" and isinstance(entry, list):
            # The older way to write `prefixItems`.
            members = cast("list[Any]", entry)
            native["prefixItems"] = [self.schema(member, depth + 1) for member in members]
        elif name == "items" or (name == "additionalProperties" and isinstance(entry, dict)):
            native[name] = self.schema(entry, depth + 1)
        elif name == "additionalProperties":
            native[name] = entry
        elif name not in SILENT:
            told[name] = entry

    def _specials(self, source: _Object, native: _Object, told: _Object) -> None:
        if "const" in source:
            wanted = encode(source["const"])
            if "enum" in source and wanted not in {encode(value) for value in source["enum"]}:
                told["enum"] = source["enum"]
            native["enum"] = [source["const"]]
        if source.get("nullable") is True and "type" in native:
            kinds = native["type"]
            named = [kinds] if isinstance(kinds, str) else cast("list[str]", kinds)
            native["type"] = list(dict.fromkeys([*named, "null"]))
        if "enum" in native:
            _settle_enum(native, told)
        if native.get("type") == "integer":
            for name, bound, step in _EXCLUSIVE:
                limit = told.get(name)
                if isinstance(limit, int) and limit is not True and limit is not False:
                    del told[name]
                    native[bound] = limit + step

    def _merged(self, source: _Object, depth: int, seen: frozenset[str] = frozenset()) -> _Object:
        """Return a schema with the members of its `allOf` taken into it.

        Args:
            source: The schema.
            depth: How deep it is.
            seen: The references that led to it: a member of its own says nothing more.

        Raises:
            TranslationError: There are too many: each level may double them.
        """
        rest = {name: entry for name, entry in source.items() if name != "allOf"}
        merged: _Object = {}
        for member in [*cast("list[Any]", source["allOf"]), rest]:
            if member is True or member == {}:
                continue
            if member is False:
                merged = both(merged, {"allOf": [False]})
                continue
            if not isinstance(member, dict):
                raise self._report.reject(self._path, "what is in its `allOf` is no schema.")
            flat = self._flat(cast("_Object", member), depth, seen)
            self._count_merge(len(merged) + len(flat) + size(merged) + size(flat))
            merged = both(merged, flat) if merged else flat
        if len(source["allOf"]) > 1 or rest:
            self._report.emulated(self._general)
        return merged

    def _count_merge(self, entries: int) -> None:
        self._merges += 1
        self._entries += entries
        if self._merges > _MAX_MERGES or self._entries > _MAX_ENTRIES:
            raise self._report.reject(
                self._path, "its references and `allOf` have too much to be merged."
            )

    def _flat(self, member: _Object, depth: int, seen: frozenset[str]) -> _Object:
        """Return a schema with its own reference and `allOf` taken into it."""
        if depth > _MAX_DEPTH:
            raise self._report.reject(self._path, "the schema is too deep.")
        self._count_merge(len(member))
        member = self._checked(member)
        pointer = member.get("$ref")
        member = {name: entry for name, entry in member.items() if name != "$ref"}
        if "allOf" in member:
            member = self._merged(member, depth + 1, seen)
        if isinstance(pointer, str) and pointer not in seen:
            target = self._resolve(pointer)
            inner = self._flat(target, depth + 1, seen | {pointer}) if target else {}
            return both(inner, member) if inner else member
        return member

    def _reference(self, source: _Object, depth: int) -> _Object:
        """Return a reference; "a `$ref` node may have no siblings"."""
        pointer = str(source["$ref"])
        rest = {
            name: entry for name, entry in source.items() if name not in SILENT or name == "const"
        }
        reference = {"$ref": f"#/$defs/{self._name(pointer)}"}
        if not rest:
            return reference
        native = self.schema(rest, depth + 1)
        if rest.keys() <= ANNOTATIONS:
            return {"anyOf": [reference], **native}
        # More constraints than the reference alone: both must hold, which `anyOf` cannot say.
        self._report.emulated(self._general)
        return self._written_anew(self._flat(source, depth, frozenset()), depth + 1)

    def _name(self, pointer: str) -> str:
        """Return the name of the definition for a pointer, which is written later."""
        if pointer not in self._names:
            self._resolve(pointer)
            last = unquote(pointer.rpartition("/")[2]).strip("#") or "root"
            name, number = last, self._numbers.get(last, 1)
            while name in self._pointers:
                number += 1
                name = f"{last}_{number}"
            self._numbers[last] = number
            self._names[pointer], self._pointers[name] = name, pointer
            self._waiting.append(pointer)
        return self._names[pointer]

    def _resolve(self, pointer: str) -> _Object:
        """Return what a pointer of RFC 6901, or an anchor, points to."""
        place: Any = self._root
        if not pointer.startswith("#"):
            raise self._lost(pointer)
        if pointer != "#" and not pointer.startswith("#/"):
            if self._anchors is None:
                self._anchors = _anchors(self._root)
            place = self._anchors.get(pointer[1:])
        for step in pointer[2:].split("/") if pointer.startswith("#/") else ():
            key = unquote(step).replace("~1", "/").replace("~0", "~")
            if (
                isinstance(place, list)
                and key.isdecimal()
                and int(key) < len(cast("list[Any]", place))
            ):
                place = cast("list[Any]", place)[int(key)]
            else:
                place = cast("_Object", place).get(key) if isinstance(place, dict) else None
        if place is True:
            return {}
        if not isinstance(place, dict):
            raise self._lost(pointer)
        return cast("_Object", place)

    def _lost(self, pointer: str) -> Exception:
        return self._report.reject(
            self._path, f"its reference `{pointer[:80]}` leads nowhere inside it."
        )


_EXCLUSIVE = (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1))


_NEVER_NULL = frozenset(
    {
        *("type", "enum", "required", "properties", "allOf", "anyOf", "oneOf", "prefixItems"),
        *("$ref", "items", "additionalProperties", "minimum", "maximum", "minItems", "maxItems"),
    }
)
"""Keywords that say nothing where they are null, which no schema's keyword but `const` may be."""


def _takes_null(source: _Object) -> bool:
    """Return whether a type can say that null is allowed, or nothing has to."""
    return not source.keys() & {"$ref", "allOf", "anyOf", "oneOf", "enum", "const", "not"}


def _anchors(root: _Object) -> _Object:
    """Return the schemas inside `root` that have a name of their own, by name."""
    found: _Object = {}
    waiting: list[Any] = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            fields = cast("_Object", value)
            for name in (fields.get("$anchor"), fields.get("$id")):
                if isinstance(name, str):
                    found.setdefault(name.removeprefix("#"), fields)
            waiting += reversed(list(fields.values()))
        elif isinstance(value, list):
            waiting += reversed(cast("list[Any]", value))
    return found


def _settle_enum(native: _Object, told: _Object) -> None:
    """Keep an `enum` of strings and numbers, the only values that it takes there."""
    listed = native["enum"]
    values = cast("list[Any]", listed) if isinstance(listed, list) else []
    kept = [v for v in values if isinstance(v, str | int | float) and not isinstance(v, bool)]
    if len(kept) == len(values) and kept:
        return
    del native["enum"]
    if kept and all(v is None or v in kept for v in values):
        native["anyOf"] = [{"enum": kept}, {"type": "null"}]
        native.pop("type", None)
    elif values == [None]:
        native["type"] = "null"
    else:
        if values and all(isinstance(v, bool) for v in values):
            native["type"] = "boolean"
        told["enum"] = listed


def _tell(native: _Object, told: _Object) -> None:
    """Say constraints in the description, as JSON: the model has seen a lot of it."""
    before = native.get("description")
    rules = encode(told).decode()
    said = f"{before}\n\n" if isinstance(before, str) and before else ""
    native["description"] = f"{said}It must also satisfy this JSON Schema: {rules}"
