"""The rules of live gates: the key `live_gates` of the policy, and which failures count."""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from policy.fallback import another_may_succeed
from policy.quality_gates import METRICS, Gate, GateTable
from policy.rows import Row, problem, problems
from translators.errors import ErrorKind, ProviderError

__all__ = ["BROKEN", "LiveGateRules", "counts", "is_broken"]

_BEST: Final[Mapping[str, float]] = {"success_rate": 100.0, "error_rate": 0.0}
_FASTEST: Final = 1.0
"""Milliseconds in which nobody has ever begun an answer."""


def _can_stay_closed(gates: dict[str, Gate]) -> dict[str, Gate]:
    """Refuse a gate that a provider without a fault would fail: it would never close again."""
    found = [
        (
            (name,),
            problem(
                f"a provider without a fault would fail this gate: its {name} is "
                f"{_BEST.get(name, _FASTEST):g} {METRICS[name].unit}",
                f'Write operator "{">=" if METRICS[name].higher_is_better else "<="}", '
                "and a threshold that can be met.",
            ),
        )
        for name, gate in gates.items()
        if not gate.passes(_BEST.get(name, _FASTEST))
    ]
    if found:
        raise problems(found)
    return gates


class LiveGateRules(Row):
    """How live gates watch the proxy's own traffic.

    The default gate is neither of the integration guide's: a few per cent of refusals are a
    provider's ordinary day at its busy hours, which the fallback hides, and with 20 samples a
    success rate of 99 % would be failed by a single one. Below 90 % one request in ten pays for
    a second attempt. Durations depend on the model and on what is asked, so no default fits.

    Attributes:
        enabled: The switch; a file that has the key `live_gates` has it on.
        window: Seconds of traffic that count.
        min_samples: Results in the window below which nothing is judged.
        cooldown: Seconds after which a provider is tried again, at first; also for how long a
            probe that does not report back keeps others out.
        probes: How many requests at a time try it again.
        recover: Good ones in a row after which it is back.
        gates: By metric.
    """

    enabled: bool = True
    window: float = Field(default=60.0, ge=0.1, le=24 * 3600)
    min_samples: int = Field(default=20, ge=1, le=1_000_000)
    cooldown: float = Field(default=30.0, ge=0.01, le=3600)
    probes: int = Field(default=1, ge=1, le=100)
    recover: int = Field(default=5, ge=1, le=1000)
    gates: Annotated[GateTable, AfterValidator(_can_stay_closed)] = Field(
        default_factory=lambda: {"success_rate": Gate(threshold=90.0, operator=">=")}
    )


BROKEN: Final[frozenset[ErrorKind]] = frozenset({"network", "timeout", "protocol"})
"""Failures without a proper refusal: no answer, or one that broke off."""


_OF_THE_CLIENTS = frozenset({"invalid_json_answer"})
"""Failures for which another provider is asked, but which a client can bring about: by a schema
that no answer can meet it would shut a provider to everybody."""


def counts(error: ProviderError) -> bool:
    """Return whether a failure counts against the provider.

    The line is that of the fallback: where another provider may succeed, this one is at fault. So
    a rate limit and an account without credit count, since it cannot serve now, whoever asks; a
    request that it refuses does not, nor our own key, which is to be mended and not to be routed
    around, nor a limit of our own that let the request go nowhere.
    """
    if error.own_limit or error.code in _OF_THE_CLIENTS:
        return False
    return another_may_succeed(error)


def is_broken(error: ProviderError) -> bool:
    """Return whether a failure counts for `error_rate`, too, beside `success_rate`."""
    return error.kind in BROKEN
