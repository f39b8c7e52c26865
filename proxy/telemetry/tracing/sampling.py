"""Which traces are recorded: `OTEL_TRACES_SAMPLER` and its argument.

The six samplers that the specification names decide by the parent's flag, the trace's id, or
nothing at all. They are decided here in 0.2 µs; the SDK's, which come to the same, take 3 µs a span
for it. A sampler that a package registers under the SDK's entry point is asked through the SDK's
own interface.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from proxy.telemetry.variables import TelemetryError, number, text

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.trace import SpanContext

__all__ = ["GROUP", "HeadSampler", "check_sampler", "sampler_from"]

GROUP: Final = "opentelemetry_traces_sampler"
"""The group of entry points: a function from `OTEL_TRACES_SAMPLER_ARG` to a sampler of the SDK."""

_ALL: Final = 1 << 64
_LOW: Final = _ALL - 1
_ROOTS: Final[Mapping[str, float | None]] = {"always_on": 1, "always_off": 0, "traceidratio": None}
_USUAL: Final = "parentbased_always_on"
_PARENT_BASED: Final = "parentbased_"


@dataclass(frozen=True, slots=True)
class HeadSampler:
    """One of the specification's six.

    Attributes:
        bound: A root is recorded where the lower half of its trace's id is below: 0 for none,
            2 to the 64th for all. All services that use the same ratio so choose the same traces.
        parent_based: Whether a span with a parent does as that one.
    """

    bound: int = _ALL
    parent_based: bool = True

    @staticmethod
    def of(rate: float, *, parent_based: bool) -> "HeadSampler":
        """Return the sampler that records a share of the traces, from 0 to 1."""
        return HeadSampler(round(rate * _ALL), parent_based)

    def samples(self, parent: "SpanContext | None", trace_id: int) -> bool:
        """Return whether a span is recorded.

        Args:
            parent: None for a root.
            trace_id: The parent's, or that of a new trace.
        """
        if parent is not None and self.parent_based:
            return parent.trace_flags & 1 == 1
        return trace_id & _LOW < self.bound


def check_sampler(environment: Mapping[str, str]) -> None:
    """Check the variables, without loading what they name.

    Raises:
        TelemetryError: There is no such sampler, or its argument is wrong.
    """
    name = _name(environment)
    if _is_standard(name):
        _standard(name.lower(), environment)
    else:
        _registered(name)


def sampler_from(environment: Mapping[str, str]) -> "HeadSampler | Sampler":
    """Return the sampler that the variables name; the usual one records all new traces.

    Raises:
        TelemetryError: There is no such sampler, or its argument is wrong.
    """
    name = _name(environment)
    if _is_standard(name):
        return _standard(name.lower(), environment)
    make: Any = _registered(name).load()
    return make(environment.get("OTEL_TRACES_SAMPLER_ARG", ""))


def _name(environment: Mapping[str, str]) -> str:
    found = text(environment, "OTEL_TRACES_SAMPLER")
    return _USUAL if found is None else found[1]


def _is_standard(name: str) -> bool:
    return name.lower().removeprefix(_PARENT_BASED) in _ROOTS


def _standard(name: str, environment: Mapping[str, str]) -> HeadSampler:
    rate = _ROOTS[name.removeprefix(_PARENT_BASED)]
    if rate is None:
        rate = number(environment, "OTEL_TRACES_SAMPLER_ARG", default=1, most=1)
    return HeadSampler.of(rate, parent_based=name.startswith(_PARENT_BASED))


def _registered(name: str) -> "EntryPoint":
    # Imported here: it takes 20 ms, and hardly anybody needs it.
    from importlib.metadata import entry_points  # noqa: PLC0415

    found = list(entry_points(group=GROUP, name=name))
    if not found:
        known = ", ".join(f"`{prefix}{root}`" for root in _ROOTS for prefix in ("", _PARENT_BASED))
        raise TelemetryError(
            f"OTEL_TRACES_SAMPLER is `{name}`; known are {known}, and what an installed package "
            f"registers as `{GROUP}`."
        )
    return found[0]
