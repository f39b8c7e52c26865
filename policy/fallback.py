"""What follows a failed attempt, as long as nothing was handed to the client: a table."""

from dataclasses import dataclass
from typing import Final, Literal

from translators.errors import (
    ErrorKind,
    ExecutionPlatformError,
    ProviderError,
    TranslationError,
)

__all__ = [
    "BACKOFF",
    "LONGEST_WAIT",
    "SHORTEST_WAIT",
    "TRIES",
    "Step",
    "another_may_succeed",
    "next_step",
]

LONGEST_WAIT: Final = 5.0
"""Seconds: the longest `retry-after` that is waited for; beyond it a client does better itself."""

SHORTEST_WAIT: Final = 1.0
"""Seconds: a `retry-after` up to this is waited for even where another target is at hand: a
second of patience costs less than a change of model in the middle of a conversation."""

BACKOFF: Final = 0.5
"""Seconds before the same target is tried again when it did not say how long to wait."""

TRIES: Final = 2
"""Tries of one target. More would hide an outage behind a slow answer; clients retry, too."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next.

    Attributes:
        action: `retry` the same target, go to the `next_target`, or `fail` with the error.
        delay: Seconds to wait first; only a retry waits.
    """

    action: Literal["retry", "next_target", "fail"]
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a kind of failure allows.

    Attributes:
        move: Another target may succeed.
        again: The same target may succeed a moment later.
    """

    move: bool
    again: bool


_RULES: dict[ErrorKind, _Rule] = {
    "rate_limit": _Rule(move=True, again=True),
    "overloaded": _Rule(move=True, again=True),
    "network": _Rule(move=True, again=True),
    "server": _Rule(move=True, again=True),
    "conflict": _Rule(move=True, again=False),
    # The time is spent: a second try of the same target would double the wait.
    "timeout": _Rule(move=True, again=False),
    # A server that breaks its own protocol once does so again.
    "protocol": _Rule(move=True, again=False),
    # Credit does not come back within seconds; another account may have some.
    "quota": _Rule(move=True, again=False),
    # A wrong key of ours is to be seen and mended, not to be paid for elsewhere.
    "auth": _Rule(move=False, again=False),
    # The request is at fault, and would be elsewhere.
    "invalid": _Rule(move=False, again=False),
    "not_found": _Rule(move=False, again=False),
    "too_large": _Rule(move=False, again=False),
}

_FINAL = _Rule(move=False, again=False)
_ELSEWHERE = _Rule(move=True, again=False)


def next_step(
    error: ExecutionPlatformError,
    *,
    same_target_tries: int,
    more_targets: bool,
    seconds_left: float,
) -> Step:
    """Say what follows a failed attempt.

    | the failure | another target | none left |
    |---|---|---|
    | passing, `retry-after` ≤ 1 s | wait, same target once more | the same |
    | passing, `retry-after` ≤ 5 s | next target | wait, same target once more |
    | passing, `retry-after` longer | next target | fail |
    | passing, no `retry-after` | next target | 0.5 s, same target once more |
    | timeout, protocol, conflict, quota, 408, untranslatable | next target | fail |
    | anything else, or an agent's tools have run | fail | fail |

    "Passing" is rate limit, overload, network and server failure. No wait is longer than the
    time that is left; without time left, nothing is tried.

    Args:
        error: Why the attempt failed.
        same_target_tries: How often this target was tried for this request, from 1.
        more_targets: Whether another target follows.
        seconds_left: Until the request's own limit.
    """
    rule = _rule(error)
    if seconds_left <= 0:
        return Step("fail")
    if rule.again and same_target_tries < TRIES:
        delay = BACKOFF if error.retry_after is None else max(error.retry_after, 0.0)
        patience = LONGEST_WAIT
        if more_targets:
            patience = 0.0 if error.retry_after is None else SHORTEST_WAIT
        if delay <= patience and delay < seconds_left:
            return Step("retry", delay)
    return Step("next_target" if rule.move and more_targets else "fail")


def another_may_succeed(error: ProviderError) -> bool:
    """Return whether a failure is this provider's own, whatever the request has done by then."""
    return _rule_of(error).move


def _rule(error: ExecutionPlatformError) -> _Rule:
    if isinstance(error, TranslationError):
        return _ELSEWHERE
    if not isinstance(error, ProviderError) or error.had_effects:
        return _FINAL
    return _rule_of(error)


def _rule_of(error: ProviderError) -> _Rule:
    # 408: the provider waited for our request in vain, whatever kind its dialect makes of it.
    return _ELSEWHERE if error.status == 408 else _RULES[error.kind]
