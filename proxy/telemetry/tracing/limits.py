"""How much of a span is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from proxy.telemetry.variables import text, whole

__all__ = ["Attributes", "Bounds", "SpanLimits", "keep", "kept"]

Attributes = Mapping[str, Any]

_USUAL: Final = 128
_COUNT: Final = "OTEL_ATTRIBUTE_COUNT_LIMIT"
_LENGTH: Final = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"
_PLAIN: Final = frozenset({str, bool, int, float})
_SEQUENCES: Final = frozenset({list, tuple})
_NONE: Final[Attributes] = {}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of the attributes of one thing.

    Attributes:
        most: How many are kept; further ones are counted as dropped.
        longest: Characters of a text, also of one in a sequence; None: all.
    """

    most: int = _USUAL
    longest: int | None = None


@dataclass(frozen=True, slots=True)
class SpanLimits:
    """Of one span.

    Attributes:
        span: Of its attributes.
        event: Of an event's.
        link: Of a link's.
        events: How many events are kept.
        links: How many links.
    """

    span: Bounds = Bounds()
    event: Bounds = Bounds()
    link: Bounds = Bounds()
    events: int = _USUAL
    links: int = _USUAL

    @staticmethod
    def from_environment(environment: Mapping[str, str]) -> "SpanLimits":
        """Return the limits that `OTEL_*_LIMIT` name: a span's own win over the general ones.

        Raises:
            TelemetryError: One of them is no whole number of 0 or more.
        """
        general = _longest(environment, _LENGTH)
        return SpanLimits(
            span=Bounds(
                _most(environment, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", _COUNT),
                _longest(environment, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", _LENGTH),
            ),
            event=Bounds(_most(environment, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", _COUNT), general),
            link=Bounds(_most(environment, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", _COUNT), general),
            events=_most(environment, "OTEL_SPAN_EVENT_COUNT_LIMIT"),
            links=_most(environment, "OTEL_SPAN_LINK_COUNT_LIMIT"),
        )


def kept(attributes: Attributes | None, bounds: Bounds) -> tuple[Attributes, int]:
    """Return a copy within bounds, and how many did not fit."""
    if not attributes:
        return _NONE, 0
    copy: dict[str, Any] = {}
    return copy, keep(copy, attributes, bounds)


def keep(into: dict[str, Any], attributes: Attributes, bounds: Bounds) -> int:
    """Copy attributes, and return how many did not fit; None counts as one that is not there."""
    most, longest, dropped = bounds.most, bounds.longest, 0
    for key, value in attributes.items():
        if longest is not None or type(value) not in _PLAIN:
            value = _cleaned(value, longest)
            if value is None:
                continue
        if key in into or len(into) < most:
            into[key] = value
        else:
            dropped += 1
    return dropped


def _cleaned(value: Any, longest: int | None) -> Any:
    """Return a copy that nobody changes later, of what the protocol can express."""
    if type(value) in _SEQUENCES:
        return tuple([_cleaned(item, longest) for item in value])
    if isinstance(value, str):
        return value[:longest]
    if value is None or isinstance(value, bool | int | float | bytes):
        return value
    if isinstance(value, Mapping):
        entries = cast("Mapping[Any, Any]", value).items()
        return {str(key): _cleaned(item, longest) for key, item in entries}
    if isinstance(value, Sequence):
        return tuple(_cleaned(item, longest) for item in cast("Sequence[Any]", value))
    return str(value)[:longest]


def _most(environment: Mapping[str, str], *names: str) -> int:
    return whole(environment, *names, default=_USUAL)


def _longest(environment: Mapping[str, str], *names: str) -> int | None:
    return None if text(environment, *names) is None else _most(environment, *names)
