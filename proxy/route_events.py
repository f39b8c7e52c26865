"""What the spans say of the way to an answer: who could be asked, who is not, and why.

It stands on the route's span, where there was something to choose, else on the request's.
"""

from collections.abc import Sequence

from policy.decision import Decision
from policy.schema import Target
from proxy.exchange import Exchange, error_type
from proxy.telemetry.spans import RouteStart
from translators.errors import TranslationError

__all__ = [
    "decided",
    "fell_back",
    "gates_set_aside",
    "held_back",
    "probed",
    "untranslatable",
]


def decided(exchange: Exchange, decision: Decision, began: int) -> None:
    """Begin the route's span, and say whom the decision passed over.

    Args:
        exchange: The record of the request.
        decision: Where it may go.
        began: When it began to be decided: nanoseconds since the epoch.
    """
    exchange.route = exchange.span.route(
        RouteStart(
            persona=decision.persona,
            candidates=len(decision.candidates),
            required=tuple(decision.required),
            reason=decision.reason,
            began=began,
        )
    )
    for rejection in decision.rejected:
        if rejection.reason == "gate":
            _held_back(exchange, rejection.provider, rejection.detail)
        else:
            _rejected(exchange, rejection.provider, rejection.reason, rejection.missing)
    if decision.gates_set_aside:
        gates_set_aside(exchange)


def fell_back(exchange: Exchange) -> None:
    """Say, on the request's span, that the next provider is asked as the last one failed."""
    failed = exchange.trail[-1]
    exchange.span.event(
        "ep.fallback",
        {
            "ep.upstream.name": failed.provider,
            "error.type": error_type(failed.error) or failed.end_reason,
        },
    )


def held_back(exchange: Exchange, target: Target, why: str) -> None:
    """Say that a target's live gate has opened, or a probe's place was taken, since then."""
    exchange.held_back += ((target.provider, why),)
    _held_back(exchange, target.provider, why)


def gates_set_aside(exchange: Exchange) -> None:
    """Say that providers are asked although their live gates are open: there are no others."""
    exchange.route.event("ep.route.gates_set_aside", {})


def probed(exchange: Exchange, target: Target) -> None:
    """Say that the next attempt is to show whether a provider has recovered."""
    exchange.route.event("ep.gate.probe", {"ep.upstream.name": target.provider})


def untranslatable(exchange: Exchange, target: Target, error: TranslationError) -> None:
    """Say that a target's API cannot express the request."""
    param = error.param or ""
    exchange.untranslatable += ((target.provider, param),)
    _rejected(exchange, target.provider, "translation", (param,))


def _rejected(exchange: Exchange, provider: str, reason: str, missing: Sequence[str]) -> None:
    exchange.route.event(
        "ep.route.rejected",
        {
            "ep.route.candidate": provider,
            "ep.route.reason": reason,
            "ep.route.missing": list(missing),
        },
    )


def _held_back(exchange: Exchange, provider: str, why: str) -> None:
    exchange.route.event(
        "ep.route.rejected",
        {
            "ep.route.candidate": provider,
            "ep.route.reason": "gate",
            "ep.route.missing": [],
            "ep.route.detail": why,
        },
    )
