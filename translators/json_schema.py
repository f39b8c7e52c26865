"""Validation of JSON that a model wrote against a schema that a client gave.

Both are strangers' work, and the check runs between the events of other requests. So:

1. It has a budget of steps. Recursive schemas can be made to take longer than the universe, and
   so can regular expressions: where Python's engine may try more than a few ways for each
   character, the pattern is left out of the check, and `unchecked` says so.
2. A `$ref` is looked up in the schema itself and in the JSON schema drafts, nowhere else.

https://json-schema.org/draft/2020-12, or the draft that `$schema` names; `format` is an
annotation there, and is not checked.
"""

import copy
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from importlib import import_module
from itertools import islice
from typing import Any, NamedTuple, cast

from translators.errors import TranslationError

__all__ = ["PARAM", "Problem", "SchemaCheck", "schema_check"]

JSONObject = dict[str, Any]

PARAM = "response_format.json_schema.schema"

MAX_SCHEMA = 120_000
"""Characters; OpenAI allows as many in all names and values of a schema."""

MAX_STEPS = 60_000
"""Keywords looked at for one answer: about a quarter of a second."""

MAX_PROBLEMS = 5

_TRIES_PER_STEP = 100
"""Ways that the regular expression engine tries in the time of a step."""


_CHARACTERS_PER_STEP = 16
"""Characters of items that are compared in the time of a step."""


class Problem(NamedTuple):
    """What is wrong with an answer.

    Attributes:
        place: A JSON path; empty where the text is no JSON.
        rule: The keyword of the schema, or `json`.
        text: In words, which may hold words of the answer.
    """

    place: str
    rule: str
    text: str


class _TooMuch(Exception):
    """The budget is spent."""


class _Budget(threading.local):
    left = 0

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise _TooMuch


class SchemaCheck:
    """Checks values against one schema.

    Attributes:
        unchecked: Keywords of the schema that are left out of the check.

    Raises:
        TranslationError: The schema cannot be checked: it is wrong, too large, or refers to
            another document.
    """

    __slots__ = ("_budget", "_validator", "unchecked")

    def __init__(self, schema: Mapping[str, Any]) -> None:
        # Imported here: most servers never check an answer.
        validators: Any = import_module("jsonschema.validators")
        exceptions: Any = import_module("jsonschema.exceptions")
        referencing: Any = import_module("referencing")
        drafts: Any = import_module("referencing.jsonschema")

        own: JSONObject = copy.deepcopy(dict(schema))
        draft = own.get("$schema") if isinstance(own.get("$schema"), str) else None
        base = validators.validator_for({"$schema": draft}, default=validators.Draft202012Validator)
        try:
            # Without formats: what is no regular expression to Python may be one to others.
            formats = import_module("jsonschema").FormatChecker(formats=())
            base.check_schema(own, format_checker=formats)
        except exceptions.SchemaError as error:
            raise _refused(f"it is no valid JSON schema: {error.message[:200]}") from None
        except RecursionError:
            raise _refused("it is nested too deeply") from None
        specification = drafts.specification_with(draft or "", default=drafts.DRAFT202012)
        registry = referencing.Registry()
        resolver = registry.resolver_with_root(specification.create_resource(own))
        unchecked: dict[str, None] = {}
        try:
            _prepare(own, specification, resolver, unchecked)
        except referencing.exceptions.Unresolvable as error:
            raise _refused(f"a `$ref` leads to `{error.ref[:100]}`, which is not in it") from None
        self.unchecked = tuple(unchecked)
        self._budget = _Budget()
        unique = _unique(self._budget, exceptions.ValidationError)
        keywords = {**base.VALIDATORS, "uniqueItems": unique}
        counted = validators.extend(base, _counted(keywords, self._budget))
        self._validator: Any = counted(own, registry=registry)

    def problems(self, value: Any) -> tuple[Problem, ...]:
        """Return what is wrong with a value; the first few things."""
        best_match: Any = import_module("jsonschema.exceptions").best_match
        self._budget.left = MAX_STEPS
        try:
            errors: list[Any] = list(islice(self._validator.iter_errors(value), MAX_PROBLEMS))
        except _TooMuch:
            return (Problem("$", "size", "it takes too long to check: it is too large"),)
        except RecursionError:
            return (Problem("$", "depth", "it is nested too deeply"),)
        # Of an error that several attempts led to, the attempt that came furthest says most.
        told: Iterable[Any] = (best_match([error]) or error for error in errors)
        return tuple(Problem(e.json_path, str(e.validator), e.message[:300]) for e in told)


@lru_cache(maxsize=16)
def _cached(schema: str) -> SchemaCheck:
    return SchemaCheck(json.loads(schema))


def schema_check(schema: Mapping[str, Any]) -> SchemaCheck:
    """Return the check for a schema; it is kept, for schemas come again and again.

    Raises:
        TranslationError: The schema cannot be checked.
    """
    text = json.dumps(schema)
    if len(text) > MAX_SCHEMA:
        raise _refused(f"it has more than {MAX_SCHEMA} characters")
    return _cached(text)


def _refused(reason: str) -> TranslationError:
    return TranslationError(
        "The provider's API does not enforce this schema, and the proxy cannot check answers "
        f"against it: {reason}.",
        param=PARAM,
    )


def _prepare(schema: Any, specification: Any, resolver: Any, unchecked: dict[str, None]) -> None:
    """Look up what a schema refers to; take out of it what cannot be checked.

    `$schema` goes too: with it a part of the schema could choose a validator without a budget.
    """
    if not isinstance(schema, dict):
        return
    fields = cast("JSONObject", schema)
    fields.pop("$schema", None)
    for name in ("$ref", "$dynamicRef"):
        if isinstance(reference := fields.get(name), str):
            resolver.lookup(reference)
    if isinstance(pattern := fields.get("pattern"), str) and _repeats(pattern) is None:
        del fields["pattern"]
        unchecked["pattern"] = None
    if any(_repeats(pattern) is None for pattern in fields.get("patternProperties", ())):
        for name in ("patternProperties", "additionalProperties", "unevaluatedProperties"):
            if fields.pop(name, None) is not None:
                unchecked[name] = None
    for part in specification.subresources_of(fields):
        inner = resolver.in_subresource(specification.create_resource(part))
        _prepare(part, specification, inner, unchecked)


_Keyword = Callable[[Any, Any, Any, Any], Iterable[Any] | None]


def _counted(keywords: Mapping[str, Any], budget: _Budget) -> dict[str, _Keyword]:
    """Return the keywords of a draft, each of which now pays for what it does."""

    def pay(keyword: _Keyword, name: str) -> _Keyword:
        def paid(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
            budget.spend(1 + _steps(name, value, instance))
            return iter(keyword(validator, value, instance, schema) or ())

        return paid

    return {name: pay(keyword, name) for name, keyword in keywords.items()}


def _unique(budget: _Budget, error: Callable[[str], Exception]) -> _Keyword:
    """Return `uniqueItems` that looks at each item once; jsonschema compares every two."""

    def unique(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if not value or not isinstance(instance, list):
            return
        first: dict[str, int] = {}
        for index, item in enumerate(cast("list[Any]", instance)):
            text = _canonical(item)
            budget.spend(len(text) // _CHARACTERS_PER_STEP)
            if (same := first.setdefault(text, index)) != index:
                yield error(f"its items {same} and {index} are the same, and may not be")
                return

    return unique


def _canonical(value: Any) -> str:
    """Return a text that two values share where they are equal as JSON, and only there.

    A text and not the numbers themselves: numbers can be chosen so that they collide in a set.
    """
    if isinstance(value, dict):
        fields = sorted(cast("JSONObject", value).items())
        return "{" + ",".join(f"{json.dumps(k)}:{_canonical(v)}" for k, v in fields) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_canonical, cast("list[Any]", value))) + "]"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        # Not in tens: that is quadratic in the number of digits.
        return hex(value)
    return json.dumps(value)


def _steps(name: str, value: Any, instance: Any) -> int:
    if name == "pattern":
        return _tries(value, instance) // _TRIES_PER_STEP if isinstance(instance, str) else 0
    if name == "patternProperties" and isinstance(instance, dict):
        # Twice: `additionalProperties` looks for them again.
        keys = cast("JSONObject", instance)
        return sum(2 * _tries(p, key) // _TRIES_PER_STEP + 1 for p in value for key in keys)
    if name in ("anyOf", "oneOf"):
        # The errors of every branch are kept until one fits.
        return 4 * len(value)
    return len(cast("list[Any]", value)) // 16 if isinstance(value, list | dict) else 0


def _tries(pattern: str, text: str) -> int:
    """Return how many ways there may be to match a text, at most."""
    repeats, forks = cast("tuple[int, int]", _repeats(pattern))
    anchored = pattern.startswith("^") and "|" not in pattern
    return (len(text) + 1) ** (repeats + (not anchored)) * 2**forks


@lru_cache(maxsize=256)
def _repeats(pattern: str) -> tuple[int, int] | None:
    """Return how many repetitions and how many either-ors a pattern has.

    None where that says nothing of the time it takes: a group is repeated, something before or
    behind is looked at, or Python does not understand it.
    """
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return None
    bare = _CLASS.sub("c", _ESCAPED.sub(_escaped, pattern))
    if _UNCOUNTED.search(bare):
        return None
    bare = _EXACTLY.sub("", bare.replace("(?:", "("))
    forks = bare.count("|") + len(_OPTIONAL.findall(bare))
    return len(_REPEATED.findall(bare)), forks


def _escaped(match: re.Match[str]) -> str:
    # A digit or a `k` refers back to a group; anything else stands for one character.
    return "(?=" if match[1] in "123456789k" else "e"


_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_CLASS = re.compile(r"\[\^?\]?[^\]]*\]")
_UNCOUNTED = re.compile(r"\(\?(?!:)|\)(?:[*+]|\{\d*,?\d*\})")
_EXACTLY = re.compile(r"\{\d+\}")
_REPEATED = re.compile(r"[*+]|\{\d*,\d*\}")
_OPTIONAL = re.compile(r"(?<![*+}?(])\?")
