"""An instance of a JSON Schema: always the same one, and as small as the schema allows.

Understood are the keywords that tool schemas and structured outputs use in practice: `$ref` to any
local pointer, `enum`, `const`, `anyOf`/`oneOf`/`allOf`, types and type lists, objects, arrays,
bounds, lengths and formats. `pattern` is met when one of a few common shapes fits.
"""

import math
import re
from typing import Any
from urllib.parse import unquote

from proxy.sandbox.jsontypes import JsonObject, as_list, as_object

__all__ = ["instance"]

# Recursive schemas end here: below it only what is required is generated.
_DEEP = 5
_ABYSS = 24
# No instance has more values than this, nor longer arrays and strings.
_MANY = 5_000
_FORMATS = {
    "date-time": "2026-01-02T03:04:05Z",
    "time": "03:04:05Z",
    "date": "2026-01-02",
    "duration": "P1D",
    "email": "sandbox@example.com",
    "hostname": "example.com",
    "uri": "https://example.com/sandbox",
    "uri-reference": "/sandbox",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "regex": "^a$",
    "json-pointer": "/a",
}
_SHAPES = ("a", "A", "1", "abc", "ABC", "123", "12345", "a1", "A1", "2026-01-02", "a-b", "a_b")


def instance(schema: object, *, name: str = "value", seed: int = 0) -> Any:
    """Return an instance of `schema`; other seeds give other instances where there is a choice.

    `name` is what a free string speaks of; inside objects it is the property's name.
    """
    return _Generator(schema, seed).value(schema, name, 0)


class _Generator:
    def __init__(self, root: object, seed: int) -> None:
        self._root = root
        self._seed = seed
        self._made = 0

    def value(self, schema: object, name: str, depth: int) -> Any:
        self._made += 1
        if depth > _ABYSS or self._made > _MANY:
            return None
        rules = self._resolved(schema, depth)
        if "const" in rules:
            return rules["const"]
        choices = as_list(rules.get("enum"))
        if choices:
            return choices[self._seed % len(choices)]
        for keyword in ("anyOf", "oneOf"):
            branches = as_list(rules.get(keyword))
            if branches:
                rest = {k: v for k, v in rules.items() if k != keyword}
                return self.value(_merged(rest, self._branch(branches, depth)), name, depth + 1)
        return self._typed(rules, name, depth)

    def _branch(self, branches: list[Any], depth: int) -> JsonObject:
        """Take the first branch that is not null; deep down the null, to end a recursion."""
        resolved = [self._resolved(branch, depth) for branch in branches]
        null = [b for b in resolved if b.get("type") == "null"]
        solid = [b for b in resolved if b.get("type") != "null"]
        return (null or solid if depth > _DEEP else solid or null)[0]

    def _resolved(self, schema: object, depth: int) -> JsonObject:
        rules = as_object(schema) or {}
        for _ in range(_ABYSS):
            reference = rules.get("$ref")
            if not isinstance(reference, str):
                break
            rest = {k: v for k, v in rules.items() if k != "$ref"}
            rules = _merged(self._pointed(reference), rest)
        parts = as_list(rules.get("allOf"))
        if parts:
            rules = {k: v for k, v in rules.items() if k != "allOf"}
            for part in parts:
                rules = _merged(rules, self._resolved(part, depth + 1) if depth < _ABYSS else {})
        return rules

    def _pointed(self, reference: str) -> JsonObject:
        node: object = self._root
        for token in reference.removeprefix("#").strip("/").split("/"):
            if not token:
                continue
            key = unquote(token).replace("~1", "/").replace("~0", "~")
            items = as_list(node)
            if items is not None:
                node = items[int(key)] if key.isdigit() and int(key) < len(items) else None
            else:
                node = (as_object(node) or {}).get(key)
        return as_object(node) or {}

    def _typed(self, rules: JsonObject, name: str, depth: int) -> Any:
        match _kind(rules):
            case "object":
                return self._object(rules, depth)
            case "array":
                return self._array(rules, name, depth)
            case "integer":
                return self._number(rules, whole=True)
            case "number":
                return self._number(rules, whole=False)
            case "boolean":
                return self._seed % 2 == 0
            case "null":
                return None
            case _:
                return self._string(rules, name)

    def _object(self, rules: JsonObject, depth: int) -> JsonObject:
        properties = as_object(rules.get("properties")) or {}
        required = _names(rules)
        chosen = [k for k in properties if depth < _DEEP or k in required]
        made = {key: self.value(properties[key], key, depth + 1) for key in chosen}
        extra = rules.get("additionalProperties")
        lacking = min(_bound(rules, "minProperties") or 0, _MANY) - len({*made, *required})
        fillers = [f"key_{i + 1}" for i in range(int(lacking))]
        for key in (*required, *fillers):
            if key not in made:
                made[key] = self.value(extra, key, depth + 1)
        return made

    def _array(self, rules: JsonObject, name: str, depth: int) -> list[Any]:
        leading = [self.value(s, name, depth + 1) for s in as_list(rules.get("prefixItems")) or []]
        fewest, most = _bound(rules, "minItems"), _bound(rules, "maxItems")
        natural = len(leading) or (1 if depth < _DEEP else 0)
        wanted = int(
            max(natural, fewest or 0) if most is None else min(max(natural, fewest or 0), most)
        )
        items = rules.get("items")
        distinct = rules.get("uniqueItems") is True
        while len(leading) < min(wanted, _MANY):
            generator = _Generator(self._root, len(leading)) if distinct else self
            leading.append(generator.value(items, name, depth + 1))
        return leading

    def _number(self, rules: JsonObject, *, whole: bool) -> float:
        low, high = _bound(rules, "minimum"), _bound(rules, "maximum")
        step = _bound(rules, "multipleOf") or (1 if whole else 0.5)
        above, below = _bound(rules, "exclusiveMinimum"), _bound(rules, "exclusiveMaximum")
        if above is not None:
            low = max(low if low is not None else -math.inf, above + (1 if whole else step / 2))
        if below is not None:
            high = min(high if high is not None else math.inf, below - (1 if whole else step / 2))
        value: float = self._seed + 1 if whole else self._seed + 1.5
        value = max(value, low) if low is not None else value
        value = min(value, high) if high is not None else value
        if "multipleOf" in rules:
            up = math.ceil(value / step) * step
            value = up if high is None or up <= high else math.floor(value / step) * step
        return int(value) if whole else value

    def _string(self, rules: JsonObject, name: str) -> str:
        form = rules.get("format")
        if isinstance(form, str) and form in _FORMATS:
            return _FORMATS[form]
        number = f" {self._seed + 1}" if self._seed else ""
        text = f"sample {name.replace('_', ' ')}{number}"
        pattern = rules.get("pattern")
        if isinstance(pattern, str):
            text = _matching(pattern, text)
        fewest, most = _bound(rules, "minLength"), _bound(rules, "maxLength")
        if fewest is not None and len(text) < fewest:
            text = text.ljust(int(min(fewest, _MANY)), ".")
        return text if most is None else text[: int(most)]


def _kind(rules: JsonObject) -> str:
    kind = rules.get("type")
    kinds = as_list(kind)
    if kinds:
        kind = next((k for k in kinds if k != "null"), "null")
    if isinstance(kind, str):
        return kind
    if "properties" in rules or "additionalProperties" in rules:
        return "object"
    return "array" if "items" in rules or "prefixItems" in rules else "string"


def _merged(base: JsonObject, more: JsonObject) -> JsonObject:
    result = base | more
    properties = (as_object(base.get("properties")) or {}) | (
        as_object(more.get("properties")) or {}
    )
    if properties:
        result["properties"] = properties
    required = _names(base) + _names(more)
    if required:
        result["required"] = list(dict.fromkeys(required))
    return result


def _names(rules: JsonObject) -> list[str]:
    return [name for name in as_list(rules.get("required")) or [] if isinstance(name, str)]


def _bound(rules: JsonObject, keyword: str) -> float | None:
    value = rules.get(keyword)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value


def _matching(pattern: str, text: str) -> str:
    try:
        expression = re.compile(pattern)
    except re.error:
        return text
    return next((shape for shape in (text, *_SHAPES) if expression.search(shape)), text)
