"""What the request's span says of the candidates that are not asked."""

from collections.abc import Sequence

from policy.decision import Decision
from policy.schema import Target
from proxy.exchange import Exchange
from translators.errors import TranslationError

__all__ = ["decided", "gates_set_aside", "held_back", "probed", "untranslatable"]


def decided(exchange: Exchange, decision: Decision) -> None:
    """Say whom the decision passed over."""
    for rejection in decision.rejected:
        if rejection.reason == "gate":
            _held_back(exchange, rejection.provider, rejection.detail)
        else:
            _rejected(exchange, rejection.provider, rejection.reason, rejection.missing)
    if decision.gates_set_aside:
        gates_set_aside(exchange)


def held_back(exchange: Exchange, target: Target, why: str) -> None:
    """Say that a target's live gate has opened, or a probe's place was taken, since then."""
    exchange.held_back += ((target.provider, why),)
    _held_back(exchange, target.provider, why)


def gates_set_aside(exchange: Exchange) -> None:
    """Say that providers are asked although their live gates are open: there are no others."""
    exchange.span.event("ep.route.gates_set_aside", {})


def probed(exchange: Exchange, target: Target) -> None:
    """Say that the next attempt is to show whether a provider has recovered."""
    exchange.span.event("ep.gate.probe", {"ep.upstream.name": target.provider})


def untranslatable(exchange: Exchange, target: Target, error: TranslationError) -> None:
    """Say that a target's API cannot express the request."""
    param = error.param or ""
    exchange.untranslatable += ((target.provider, param),)
    _rejected(exchange, target.provider, "translation", (param,))


def _rejected(exchange: Exchange, provider: str, reason: str, missing: Sequence[str]) -> None:
    exchange.span.event(
        "ep.route.rejected",
        {
            "ep.route.candidate": provider,
            "ep.route.reason": reason,
            "ep.route.missing": list(missing),
        },
    )


def _held_back(exchange: Exchange, provider: str, why: str) -> None:
    exchange.span.event(
        "ep.route.rejected",
        {
            "ep.route.candidate": provider,
            "ep.route.reason": "gate",
            "ep.route.missing": [],
            "ep.route.detail": why,
        },
    )
