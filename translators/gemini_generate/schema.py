"""JSON schemas in the part of JSON Schema that the API reads.

https://ai.google.dev/gemini-api/docs/structured-output#json-schema-support lists the keywords, as
does `GenerateContentConfig.response_json_schema` of google-genai 3.4.

1. References stay references, which ends every cycle (`translators.gemini_generate.cycles` opens
   those that the API does not follow); whatever place they point to becomes an
   entry of `$defs` at the root, the only place that is read. A reference that leads nowhere is
   refused: the schema would mean something else.
2. `const` becomes an `enum` of one, `allOf` is merged, `nullable` becomes a type.
3. A constraint without a keyword there is told to the model in the description.
4. What stays keeps its order: a schema is part of the prompt, and of what is cached of it.
"""

from typing import Any, cast
from urllib.parse import unquote

from translators.fidelity import ReportBuilder
from translators.gemini_generate.cycles import open_cycles
from translators.json import encode

__all__ = ["to_schema"]

_Object = dict[str, Any]

_COPIED = frozenset(
    {
        *("type", "format", "title", "description", "enum", "minItems", "maxItems", "minimum"),
        *("maximum", "required", "propertyOrdering"),
    }
)
_SCHEMAS = frozenset({"anyOf", "oneOf", "prefixItems"})
"""Keywords whose value is a list of schemas."""

_SILENT = frozenset(
    {
        *("$schema", "$comment", "$vocabulary", "$id", "$anchor", "$dynamicAnchor", "$defs"),
        *("definitions", "const", "allOf", "nullable", "$ref", "$recursiveAnchor"),
    }
)
"""Keywords that say nothing to a model, or that are dealt with on their own."""

_ANNOTATIONS = frozenset({"title", "description", "default", "examples", "deprecated"})
_MAX_DEPTH = 200
_MAX_MERGES = 2_000


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
        TranslationError: A reference in it leads nowhere.
    """
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
            _tell(place, told)
    return native


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
        self._root = root
        self._path = path
        self._general = general
        self._report = report
        self._names: dict[str, str] = {}
        self._waiting: list[str] = []
        self._written: _Object = {}
        self._merges = 0

    def definitions(self) -> _Object:
        """Return what the references point to, by name; writing one may add others."""
        while self._waiting:
            pointer = self._waiting.pop(0)
            self._written[self._names[pointer]] = self.schema(self._resolve(pointer), 0)
        return self._written

    def target(self, reference: str) -> _Object:
        """Return what a reference that was written points to."""
        name = reference.removeprefix("#/$defs/")
        pointer = next(key for key, value in self._names.items() if value == name)
        return self.schema(self._resolve(pointer), 0)

    def schema(self, value: Any, depth: int) -> _Object:
        """Return a schema in the API's form."""
        if depth > _MAX_DEPTH:
            raise self._report.reject(self._path, "the schema is too deep.")
        if not isinstance(value, dict):
            if value is not True:
                self._report.emulated(self._general)
            return {} if value is True else {"description": "Nothing is allowed here."}
        source = cast("_Object", value)
        if isinstance(source.get("allOf"), list):
            source = self._merged(source, depth)
        if isinstance(source.get("$ref"), str):
            return self._reference(source, depth)
        native: _Object = {}
        told: _Object = {}
        for name, entry in source.items():
            self._keyword(name, entry, native, told, depth)
        self._specials(source, native, told)
        if told:
            self._report.emulated(self._general)
            _tell(native, told)
        return native

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
        elif name not in _SILENT:
            told[name] = entry

    def _specials(self, source: _Object, native: _Object, told: _Object) -> None:
        if "const" in source:
            native["enum"] = [source["const"]]
        if source.get("nullable") is True and isinstance(native.get("type"), str):
            native["type"] = [native["type"], "null"]
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
            if not isinstance(member, dict) or not member:
                continue
            self._count_merge()
            flat = self._flat(cast("_Object", member), depth, seen)
            for name, entry in flat.items():
                merged[name] = _both(name, merged[name], entry) if name in merged else entry
        if len(source["allOf"]) > 1 or rest:
            self._report.emulated(self._general)
        return merged

    def _count_merge(self) -> None:
        self._merges += 1
        if self._merges > _MAX_MERGES:
            raise self._report.reject(
                self._path, "its references and `allOf` have too much to be merged."
            )

    def _flat(self, member: _Object, depth: int, seen: frozenset[str]) -> _Object:
        """Return a member of `allOf` with its own reference and `allOf` taken into it."""
        pointer = member.get("$ref")
        if isinstance(pointer, str) and pointer not in seen:
            target = self._resolve(pointer)
            rest = {name: entry for name, entry in member.items() if name != "$ref"}
            inner = self._flat(target, depth, seen | {pointer}) if target else {}
            return {**inner, **rest}
        member = {name: entry for name, entry in member.items() if name != "$ref"}
        if isinstance(member.get("allOf"), list) and depth < _MAX_DEPTH:
            return self._merged(member, depth + 1, seen)
        return member

    def _reference(self, source: _Object, depth: int) -> _Object:
        """Return a reference; "a `$ref` node may have no siblings"."""
        pointer = str(source["$ref"])
        rest = {
            name: entry for name, entry in source.items() if name not in _SILENT or name == "const"
        }
        reference = {"$ref": f"#/$defs/{self._name(pointer)}"}
        if not rest:
            return reference
        native = self.schema(rest, depth + 1)
        if rest.keys() <= _ANNOTATIONS:
            return {"anyOf": [reference], **native}
        # More constraints than the reference alone: both must hold, which `anyOf` cannot say.
        self._count_merge()
        merged = self._flat(source, depth, frozenset())
        if isinstance(merged.get("allOf"), list):
            merged = self._merged(merged, depth + 1)
        self._report.emulated(self._general)
        return self.schema(merged, depth + 1)

    def _name(self, pointer: str) -> str:
        """Return the name of the definition for a pointer, which is written later."""
        if pointer not in self._names:
            self._resolve(pointer)
            last = unquote(pointer.rpartition("/")[2]).strip("#") or "root"
            name, number = last, 1
            while name in self._names.values():
                number += 1
                name = f"{last}_{number}"
            self._names[pointer] = name
            self._waiting.append(pointer)
        return self._names[pointer]

    def _resolve(self, pointer: str) -> _Object:
        """Return what a pointer of RFC 6901, or an anchor, points to."""
        place: Any = self._root
        if not pointer.startswith("#"):
            raise self._lost(pointer)
        if pointer != "#" and not pointer.startswith("#/"):
            place = _anchored(self._root, pointer[1:])
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


def _anchored(value: Any, name: str) -> Any:
    """Return the schema inside `value` that has the anchor `name`."""
    if isinstance(value, dict):
        fields = cast("_Object", value)
        if fields.get("$anchor") == name or fields.get("$id") == f"#{name}":
            return fields
        value = list(fields.values())
    if not isinstance(value, list):
        return None
    found = (_anchored(entry, name) for entry in cast("list[Any]", value))
    return next((entry for entry in found if entry is not None), None)


def _both(name: str, before: Any, after: Any) -> Any:
    """Return what a keyword is where two schemas must hold."""
    if isinstance(before, dict) and isinstance(after, dict) and name == "properties":
        return {**cast("_Object", before), **cast("_Object", after)}
    if not (isinstance(before, list) and isinstance(after, list)):
        return cast("Any", after)
    first, second = cast("list[Any]", before), cast("list[Any]", after)
    if name == "required":
        return list(dict.fromkeys([*first, *second]))
    if name in ("enum", "type"):
        return [entry for entry in first if entry in second] or second
    return second


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
