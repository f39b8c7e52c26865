"""Instructions to the sandbox, written in the last user message: `[sandbox KEY=VALUE ...]`.

Values are bare words, JSON strings in double quotes, or JSON objects and arrays. A key without a
value is a switch. Several groups may stand in one message; later ones win, key by key.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import msgspec

from proxy.sandbox.jsontypes import JsonObject

__all__ = ["FAILURES", "PROVIDERS", "DirectiveError", "Directives", "Group", "extract", "resolve"]

PROVIDERS = ("openai", "anthropic", "gemini")
# Failures that are known by more than their status.
FAILURES = ("context", "quota")
# A typing mistake in a number is not to fill the memory.
_MOST = 1_000_000
_OPENING = "[sandbox"
_GROUP_KEYS = ("provider", "after", "times", "key")


class DirectiveError(Exception):
    """The message holds a directive that the sandbox does not understand."""


@dataclass(frozen=True, slots=True)
class Directives:
    """What one request asks the sandbox to do; times are in seconds, counts in stream events."""

    fail: int | str | None = None
    retry_after: str | None = None
    status_body: str | None = None
    error_type: str | None = None
    delay: float = 0.0
    first: float = 0.0
    gap: float = 0.0
    words: int | None = None
    chunks: int | None = None
    bytes: int | None = None
    cut: int | None = None
    eof: int | None = None
    stall: int | None = None
    error: int | None = None
    garbage: int | None = None
    unknown: bool = False
    tool: str | None = None
    tools: int | None = None
    rounds: int = 1
    args: JsonObject | str | None = None
    noargs: bool = False
    think: str | None = None
    redacted: bool = False
    say: str | None = None
    refuse: bool = False
    stop_reason: str | None = None
    hops: int = 1
    cached: int = 0
    cache_write: int = 0

    @property
    def wants_call(self) -> bool:
        """Whether a tool call is asked for by name, number or arguments."""
        return bool(self.tool or self.tools or self.noargs or self.args is not None)


@dataclass(frozen=True, slots=True)
class Group:
    """One bracket: its values, and its text as the default key for `after` and `times`."""

    values: JsonObject
    text: str


def _whole(value: Any) -> int:
    number = int(value)
    if number < 0:
        raise ValueError
    return number


def _positive(value: Any) -> int:
    number = int(value)
    if not 1 <= number <= _MOST:
        raise ValueError
    return number


def _failure(value: Any) -> int | str:
    if value in FAILURES:
        return str(value)
    number = int(value)
    if not 400 <= number <= 599:
        raise ValueError
    return number


def _seconds(value: Any) -> float:
    number = float(value)
    if not 0 <= number < math.inf:
        raise ValueError
    return number


def _switch(value: Any) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[str(value).lower()]


def _header(value: Any) -> str:
    if not (isinstance(value, str) and value.isascii() and value.isprintable()):
        raise ValueError
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _arguments(value: Any) -> JsonObject | str:
    return value if isinstance(value, dict) else _text(value)  # pyright: ignore[reportUnknownVariableType]


def _provider(value: Any) -> str:
    if value not in PROVIDERS:
        raise ValueError
    return value


def _or(words: tuple[str, ...]) -> str:
    return " or ".join(words)


_COUNT = f"a number from 1 to {_MOST}"
_Reader: TypeAlias = Callable[[Any], object]
_READERS: dict[str, tuple[_Reader, str]] = {
    "fail": (_failure, f"an HTTP status from 400 to 599, {_or(FAILURES)}"),
    "retry_after": (_header, "seconds"),
    "status_body": (_text, "`html`"),
    "error_type": (_text, "a word"),
    "delay": (_seconds, "seconds"),
    "first": (_seconds, "seconds"),
    "gap": (_seconds, "seconds"),
    "words": (_positive, _COUNT),
    "chunks": (_positive, _COUNT),
    "bytes": (_positive, _COUNT),
    "cut": (_whole, "a number of events"),
    "eof": (_whole, "a number of events"),
    "stall": (_whole, "a number of events"),
    "error": (_whole, "a number of events"),
    "garbage": (_whole, "a number of events"),
    "unknown": (_switch, "true or false"),
    "tool": (_text, "a tool's name"),
    "tools": (_positive, _COUNT),
    "rounds": (_positive, _COUNT),
    "args": (_arguments, "a JSON object"),
    "noargs": (_switch, "true or false"),
    "think": (_text, "text"),
    "redacted": (_switch, "true or false"),
    "say": (_text, "text"),
    "refuse": (_switch, "true or false"),
    "stop_reason": (_text, "a word"),
    "hops": (_positive, _COUNT),
    "cached": (_whole, "a number of tokens"),
    "cache_write": (_whole, "a number of tokens"),
    "provider": (_provider, _or(PROVIDERS)),
    "after": (_positive, _COUNT),
    "times": (_positive, _COUNT),
    "key": (_text, "a word"),
}
# What a key without a value means; `think` has a text of its own.
_BARE: JsonObject = {"think": "The sandbox thinks about the question.", "status_body": "html"}


def extract(text: str) -> tuple[str, list[Group]]:
    """Split a message into its own text and the groups found in it.

    Raises:
        DirectiveError: a group is not closed, a key is unknown or a value is wrong.
    """
    groups: list[Group] = []
    kept: list[str] = []
    position = 0
    while True:
        start = text.find(_OPENING, position)
        after = start + len(_OPENING)
        if start < 0:
            break
        if text[after : after + 1] not in {"]", " ", "\n", "\t"}:
            kept.append(text[position:after])
            position = after
            continue
        kept.append(text[position:start])
        values, position = _group(text, after)
        groups.append(Group(values, text[start:position]))
    kept.append(text[position:])
    return ("".join(kept).strip() if groups else text), groups


def _group(text: str, position: int) -> tuple[JsonObject, int]:
    values: JsonObject = {}
    while True:
        while text[position : position + 1].isspace():
            position += 1
        if text[position : position + 1] == "]":
            return values, position + 1
        start = position
        while position < len(text) and (text[position].isalnum() or text[position] == "_"):
            position += 1
        key = text[start:position]
        if key not in _READERS:
            shown = key or text[start : start + 12]
            known = ", ".join(_READERS)
            raise DirectiveError(f"sandbox: unknown directive `{shown}`; known are: {known}")
        raw: Any = _BARE.get(key, "true")
        if text[position : position + 1] == "=":
            raw, position = _value(text, position + 1, key)
        values[key] = _read(key, raw)


def _read(key: str, raw: Any) -> object:
    reader, wanted = _READERS[key]
    try:
        return reader(raw)
    except (ValueError, TypeError, KeyError, OverflowError):
        raise DirectiveError(f"sandbox: directive `{key}` wants {wanted}") from None


def _value(text: str, position: int, key: str) -> tuple[Any, int]:
    opening = text[position : position + 1]
    if opening in {'"', "{", "["} and opening:
        end = _json_end(text, position)
        try:
            return msgspec.json.decode(text[position:end]), end
        except msgspec.DecodeError:
            raise DirectiveError(f"sandbox: directive `{key}` holds invalid JSON") from None
    end = position
    while end < len(text) and not text[end].isspace() and text[end] != "]":
        end += 1
    return text[position:end], end


def _json_end(text: str, position: int) -> int:
    """Find the end of the JSON string, object or array that starts at `position`."""
    depth = 0
    quoted = False
    while position < len(text):
        character = text[position]
        if quoted:
            if character == "\\":
                position += 1
            elif character == '"':
                quoted = False
        elif character == '"':
            quoted = True
        elif character in "{[":
            depth += 1
        elif character in "}]":
            depth -= 1
        position += 1
        if depth == 0 and not quoted:
            break
    return position


def resolve(groups: list[Group], provider: str, attempts: dict[str, int]) -> Directives:
    """Merge the groups that apply to this request of `provider`.

    `attempts` counts the uses of each group with `after` or `times` and is updated here.
    """
    merged: JsonObject = {}
    for group in groups:
        if group.values.get("provider", provider) != provider:
            continue
        after: int = group.values.get("after", 0)
        times: int | None = group.values.get("times")
        if after or times is not None:
            key: str = group.values.get("key", group.text)
            attempts[key] = used = attempts.get(key, 0) + 1
            if used <= after or (times is not None and used > after + times):
                continue
        merged.update(group.values)
    return Directives(**{k: v for k, v in merged.items() if k not in _GROUP_KEYS})


_DECLARED = {field.name for field in fields(Directives)} | set(_GROUP_KEYS)
if set(_READERS) != _DECLARED:  # a key that one side forgot would fail at some user's request
    raise AssertionError(_DECLARED ^ set(_READERS))
