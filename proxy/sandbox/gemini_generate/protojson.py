"""Reads proto-JSON as the service's front end does, and collects every fault before it refuses.

Names may be camelCase or snake_case, null is absent, one value may stand for a list of one, numbers
may be strings, and enumerations may be written small or as numbers. What comes out has snake_case
names, lists where lists belong, and enumerations by their names. The words of the faults are those
of protobuf's `ProtoWriter`.
"""

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import msgspec

from proxy.sandbox.gemini_generate import refusals
from proxy.sandbox.gemini_generate.messages import ENUMS, MESSAGES, ONE_OF, full_name
from proxy.sandbox.jsontypes import JsonObject, as_list, as_object

__all__ = ["decoded", "read"]

_FAULTY: Any = object()
_SHOWN = 200


def read(kind: str, value: object, version: str) -> JsonObject:
    """Return a message with canonical names.

    Raises:
        Rejection: naming every fault, as the service words them.
    """
    reader = _Reader(version)
    found = as_object(value)
    if found is None:
        text = 'Invalid JSON payload received. Unknown name "": Root element must be a message.'
        raise refusals.malformed([("", text)])
    message = reader.message(kind, found, "")
    if reader.faults:
        raise refusals.malformed(reader.faults)
    return message


def decoded(text: str) -> bytes | None:
    """Return the bytes of a base64 text in either alphabet, padded or not; None if it is none."""
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


class _Reader:
    def __init__(self, version: str) -> None:
        self.faults: list[tuple[str, str]] = []
        self._version = version

    def message(self, kind: str, value: JsonObject, path: str) -> JsonObject:
        names = _names(kind)
        made: JsonObject = {}
        taken = False
        for key, item in value.items():
            name = names.get(key)
            if name is None:
                self._unknown(key, path, "Cannot find field")
                continue
            if item is None:
                continue
            if name in ONE_OF.get(kind, ()):
                if taken:
                    reason = f"oneof field 'data' is already set. Cannot set '{key}'"
                    self._fault(path, f"Invalid value at '{path}' (oneof), {reason}")
                    continue
                taken = True
            read_item = self._field(MESSAGES[kind][name], item, (path, key, name))
            if read_item is not _FAULTY:
                made[name] = read_item
        return made

    def _field(self, spec: str, value: Any, at: tuple[str, str, str]) -> Any:
        parent, key, name = at
        path = f"{parent}.{name}" if parent else name
        if spec.endswith("*"):
            items = as_list(value)
            if items is None:
                return self._kept([self._single(spec[:-1], value, at, f"{path}[0]")])
            made = [self._single(spec[:-1], v, at, f"{path}[{i}]") for i, v in enumerate(items)]
            return self._kept(made)
        if spec.endswith("{}"):
            return self._map(spec[:-2], value, at, path)
        if isinstance(value, list) and spec != "value":
            self._unknown(key, parent, "Proto field is not repeating, cannot start list")
            return _FAULTY
        return self._single(spec, value, at, path)

    def _kept(self, items: list[Any]) -> list[Any]:
        return [item for item in items if item is not _FAULTY]

    def _map(self, kind: str, value: Any, at: tuple[str, str, str], path: str) -> Any:
        entries = as_object(value)
        if entries is None:
            self._unknown(at[1], at[0], "Proto field is not a map, cannot start list")
            return _FAULTY
        made = {
            name: self._single(kind, item, at, f"{path}[{i}].value")
            for i, (name, item) in enumerate(entries.items())
        }
        return {name: item for name, item in made.items() if item is not _FAULTY}

    def _single(self, kind: str, value: Any, at: tuple[str, str, str], path: str) -> Any:
        if kind == "value":
            return value
        entries = as_object(value)
        if kind == "struct" or kind in MESSAGES:
            if entries is None:
                return self._invalid(path, full_name(kind, self._version), value)
            return entries if kind == "struct" else self.message(kind, entries, path)
        if entries is not None:
            self._unknown(at[1], at[0], "Proto field is not a message, cannot start object")
            return _FAULTY
        if kind.startswith("enum:"):
            made = _enumerated(kind, value)
            return (
                self._invalid(path, full_name(kind, self._version), value) if made is None else made
            )
        return self._scalar(kind, value, path)

    def _scalar(self, kind: str, value: Any, path: str) -> Any:
        if kind == "bytes" and isinstance(value, str):
            if decoded(value) is None:
                text = f"Base64 decoding failed for {_shown(value)}"
                self._fault(path, f"Invalid value at '{path}' (TYPE_BYTES), {text}")
                return _FAULTY
            return value
        made = _SCALARS[kind](value)
        if made is None:
            return self._invalid(path, f"TYPE_{kind.upper()}", value)
        return made

    def _invalid(self, path: str, kind: str, value: Any) -> Any:
        self._fault(path, f"Invalid value at '{path}' ({kind}), {_shown(value)}")
        return _FAULTY

    def _unknown(self, name: str, path: str, reason: str) -> None:
        at = f" at '{path}'" if path else ""
        text = f'Invalid JSON payload received. Unknown name "{name}"{at}: {reason}.'
        self._fault(path, text)

    def _fault(self, path: str, text: str) -> None:
        self.faults.append((path, text))


@cache
def _names(kind: str) -> Mapping[str, str]:
    """Map both spellings of a message's fields to the canonical one."""
    names: dict[str, str] = {}
    for name in MESSAGES[kind]:
        first, *rest = name.split("_")
        names[name] = names[first + "".join(word.title() for word in rest)] = name
    return names


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _enumerated(kind: str, value: Any) -> str | None:
    names = ENUMS[kind.removeprefix("enum:")]
    if isinstance(value, str):
        return value.upper() if value.upper() in names else None
    if isinstance(value, int) and not isinstance(value, bool):
        # Proto3 keeps numbers it does not know.
        return names[value] if 0 <= value < len(names) else names[0]
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _whole(bits: int) -> Callable[[Any], int | None]:
    def checked(value: Any) -> int | None:
        number = _number(value)
        if number is None or number != int(number) or abs(number) >= 1 << (bits - 1):
            return None
        return int(number)

    return checked


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


_SCALARS: Mapping[str, Callable[[Any], Any]] = {
    "string": _text,
    "bytes": _text,
    "bool": _boolean,
    "int32": _whole(32),
    "int64": _whole(64),
    "float": _number,
    "double": _number,
}
