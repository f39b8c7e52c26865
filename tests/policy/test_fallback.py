"""The table of what follows a failure."""

from typing import get_args

import pytest

from policy.fallback import BACKOFF, LONGEST_WAIT, SHORTEST_WAIT, TRIES, Step, next_step
from translators.errors import (
    AccessDenied,
    ErrorKind,
    ExecutionPlatformError,
    InvalidRequest,
    NoProvider,
    ProviderError,
    StreamTruncated,
    TimeoutError,
    TranslationError,
    UnknownPersona,
)

NEXT, FAIL = Step("next_target"), Step("fail")
AGAIN = Step("retry", BACKOFF)


def step(error: ExecutionPlatformError, *, more: bool, tries: int = 1, left: float = 100.0) -> Step:
    return next_step(error, same_target_tries=tries, more_targets=more, seconds_left=left)


def failure(kind: ErrorKind, retry_after: float | None = None) -> ProviderError:
    return ProviderError("x", kind=kind, retry_after=retry_after)


KINDS: dict[ErrorKind, tuple[Step, Step]] = {
    # kind -> with another target, without
    "rate_limit": (NEXT, AGAIN),
    "overloaded": (NEXT, AGAIN),
    "network": (NEXT, AGAIN),
    "server": (NEXT, AGAIN),
    "timeout": (NEXT, FAIL),
    "protocol": (NEXT, FAIL),
    "conflict": (NEXT, FAIL),
    "quota": (NEXT, FAIL),
    "auth": (FAIL, FAIL),
    "invalid": (FAIL, FAIL),
    "not_found": (FAIL, FAIL),
    "too_large": (FAIL, FAIL),
}


def test_every_kind_is_in_the_table() -> None:
    assert KINDS.keys() == set(get_args(ErrorKind))


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind: ErrorKind) -> None:
    assert (step(failure(kind), more=True), step(failure(kind), more=False)) == KINDS[kind]


@pytest.mark.parametrize(
    ("error", "more", "alone"),
    [
        (TimeoutError("first_token", 3), NEXT, FAIL),
        (StreamTruncated("x"), NEXT, FAIL),
        (TranslationError("x", param="n"), NEXT, FAIL),
        (InvalidRequest("x"), FAIL, FAIL),
        (AccessDenied("x"), FAIL, FAIL),
        (UnknownPersona("x"), FAIL, FAIL),
        (NoProvider("x", unavailable=True), FAIL, FAIL),
        (ExecutionPlatformError("x"), FAIL, FAIL),
        (ProviderError("x", kind="invalid", status=408), NEXT, FAIL),
        (ProviderError("x", kind="timeout", status=408), NEXT, FAIL),
    ],
)
def test_errors(error: ExecutionPlatformError, more: Step, alone: Step) -> None:
    assert (step(error, more=True), step(error, more=False)) == (more, alone)


@pytest.mark.parametrize("kind", ["rate_limit", "overloaded", "network", "server"])
@pytest.mark.parametrize(
    ("retry_after", "more", "alone"),
    [
        (0.0, Step("retry", 0.0), Step("retry", 0.0)),
        (-3.0, Step("retry", 0.0), Step("retry", 0.0)),
        (SHORTEST_WAIT, Step("retry", SHORTEST_WAIT), Step("retry", SHORTEST_WAIT)),
        (SHORTEST_WAIT + 0.1, NEXT, Step("retry", SHORTEST_WAIT + 0.1)),
        (LONGEST_WAIT, NEXT, Step("retry", LONGEST_WAIT)),
        (LONGEST_WAIT + 0.1, NEXT, FAIL),
        (3600.0, NEXT, FAIL),
    ],
)
def test_retry_after(kind: ErrorKind, retry_after: float, more: Step, alone: Step) -> None:
    error = failure(kind, retry_after)
    assert (step(error, more=True), step(error, more=False)) == (more, alone)


@pytest.mark.parametrize("kind", ["quota", "timeout", "protocol", "conflict", "auth", "invalid"])
def test_retry_after_brings_no_retry_where_none_can_help(kind: ErrorKind) -> None:
    error = failure(kind, 0.5)
    assert (step(error, more=True), step(error, more=False)) == KINDS[kind]


@pytest.mark.parametrize("retry_after", [None, 0.5])
def test_a_target_is_tried_so_often_and_no_more(retry_after: float | None) -> None:
    error = failure("overloaded", retry_after)
    assert step(error, more=False, tries=TRIES) == FAIL
    assert step(error, more=True, tries=TRIES) == NEXT


def test_no_wait_is_longer_than_the_time_that_is_left() -> None:
    assert step(failure("server"), more=False, left=BACKOFF) == FAIL
    assert step(failure("server", 3.0), more=False, left=2.0) == FAIL
    assert step(failure("server", 0.9), more=True, left=0.8) == NEXT


@pytest.mark.parametrize("left", [0.0, -1.0])
def test_without_time_nothing_is_tried(left: float) -> None:
    assert step(failure("server"), more=True, left=left) == FAIL
    assert step(TranslationError("x", param="n"), more=True, left=left) == FAIL


@pytest.mark.parametrize("kind", ["overloaded", "network", "timeout", "rate_limit"])
@pytest.mark.parametrize("more", [False, True])
def test_what_an_agent_has_done_is_not_done_once_more(kind: ErrorKind, more: bool) -> None:
    error = failure(kind, retry_after=0.1)
    assert step(error, more=more) != Step("fail") or not more
    error.had_effects = True
    assert step(error, more=more) == Step("fail")
