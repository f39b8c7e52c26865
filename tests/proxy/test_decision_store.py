"""The store of records: bounds, order, whose they are, and that it keeps nothing alive."""

import gc
import json
import time
import tracemalloc
import weakref

import pytest

from policy.decision import Decision, Rejection, Target
from policy.schema import Candidate, Timeouts
from proxy.call import AgentFacts
from proxy.decisions import record
from proxy.decisions.store import ENTRY_BYTES, DecisionStore
from proxy.exchange import Caller, Exchange
from proxy.trail import AttemptRecord
from translators.errors import InvalidRequest, ProviderError, TranslationError
from translators.fidelity import Report
from translators.json import encode
from translators.wire.request import parse_request
from translators.wire.response import Usage

LIMITS = Timeouts()
ONE, TWO = Caller("one", tenant="a" * 64), Caller("two", tenant="b" * 64)
CHAT = parse_request(b'{"model": "p", "messages": [{"role": "user", "content": "secret"}]}')


def exchange(id: str = "r1", caller: Caller = ONE) -> Exchange:
    return Exchange(chat=CHAT, request_id=id, caller=caller)


def attempt(provider: str, number: int = 1, **more: object) -> AttemptRecord:
    fields: dict[str, object] = {
        **{"number": number, "reason": "initial", "provider": provider, "model": f"{provider}-1"},
        **{"dialect": "openai_chat", "started": time.perf_counter(), "first_chunk": 0.1},
        **{"seconds": 0.2, "status": 200, "request_id": "up", "follow_ups": 0, "report": Report()},
        **{"end_reason": "completed", "error": None, "served_by": None, "finish_reason": "stop"},
        **{"usage": Usage(1, 2, 3), "chunks": 0, "agent": None},
    }
    return AttemptRecord(**{**fields, **more})  # type: ignore[arg-type]


def decision(*providers: str, targets: tuple[str, ...] | None = None, **more: object) -> Decision:
    candidates = tuple(Candidate(Target(p, f"{p}-1", LIMITS), frozenset()) for p in providers)
    chosen = tuple(c.target for c in candidates if targets is None or c.target.provider in targets)
    return Decision("p", chosen, "first preference", candidates=candidates, **more)  # type: ignore[arg-type]


def told(found: Exchange) -> dict[str, dict[str, object]]:
    """Return the candidates of a record that is over, by provider."""
    document = json.loads(encode(record.over(found, status=200, error=None)))
    return {one["provider"]: one for one in document["candidates"]}


def end(store: DecisionStore, found: Exchange) -> None:
    store.end(found, record.over(found, status=200, error=None))


def test_a_record_is_its_tenants() -> None:
    store = DecisionStore(10)
    found = exchange()
    store.begin(found)
    running = store.find(ONE.tenant, "r1")
    assert running is not None
    assert json.loads(running)["state"] == "running"
    assert store.find(TWO.tenant, "r1") is None
    end(store, found)
    over = store.find(ONE.tenant, "r1")
    assert over is not None
    assert json.loads(over)["state"] == "over"
    assert store.find(TWO.tenant, "r1") is None
    assert store.find(ONE.tenant, "r2") is None


def test_no_more_records_than_allowed_and_the_oldest_goes() -> None:
    store = DecisionStore(100)
    for number in range(1000):
        found = exchange(f"r{number}")
        store.begin(found)
        end(store, found)
    assert len(store) == 100
    assert store.find(ONE.tenant, "r899") is None
    assert store.find(ONE.tenant, "r900") is not None


def test_no_more_bytes_than_allowed_and_they_are_counted_right() -> None:
    found = exchange()
    each = len(encode(record.over(found, status=200, error=None))) + ENTRY_BYTES
    store = DecisionStore(10_000, each * 5)
    for number in range(50):
        one = exchange(f"r{number % 17}")
        store.begin(one)
        end(store, one)
        assert store.size <= each * 5
    assert 3 <= len(store) <= 5
    assert store.size == sum(
        len(data) + ENTRY_BYTES
        for number in range(17)
        if (data := store.find(ONE.tenant, f"r{number}")) is not None
    )
    tiny = DecisionStore(10, 100)
    tiny.begin(found)
    end(tiny, found)
    assert (len(tiny), tiny.size) == (0, 0)


def test_what_an_entry_takes_is_not_more_than_is_counted() -> None:
    store = DecisionStore(5000)
    tracemalloc.start()
    for number in range(5000):
        found = exchange(f"{number:0128}")
        store.begin(found)
        end(store, found)
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0 < taken <= store.size


def test_none_are_kept_where_none_are_wanted() -> None:
    store = DecisionStore(0)
    found = exchange()
    store.begin(found)
    assert not store.is_running(found)
    end(store, found)
    store.keep(ONE.tenant, record.over(found, status=200, error=None))
    assert store.find(ONE.tenant, "r1") is None
    assert not store.is_on


def test_the_later_request_of_an_id_counts_whichever_ends_first() -> None:
    for first_ends_first in (True, False):
        store = DecisionStore(10)
        first, second = exchange(), exchange()
        first.model, second.model = "first", "second"
        store.begin(first)
        store.begin(second)
        for one in (first, second) if first_ends_first else (second, first):
            end(store, one)
        found = store.find(ONE.tenant, "r1")
        assert found is not None
        assert json.loads(found)["persona"] == "second"
        assert len(store) == 1


def test_a_later_refusal_counts_too() -> None:
    store = DecisionStore(10)
    first = exchange()
    store.begin(first)
    refusal = record.refused("r1", ONE, trace_id=None, status=400, error=InvalidRequest("no"))
    store.keep(ONE.tenant, refusal)
    end(store, first)
    found = store.find(ONE.tenant, "r1")
    assert found is not None
    assert json.loads(found)["status"] == 400


class _Error(ProviderError):
    """One that can be referred to weakly."""


def test_nothing_of_a_request_lives_on_in_its_record() -> None:
    store = DecisionStore(10)
    found = exchange()
    try:
        raise _Error("secret words", kind="server", native_type="api_error")
    except _Error as error:
        found.error = error
        found.trail.append(attempt("a", error=error, end_reason="upstream_error"))
    found.decision = decision("a")
    store.begin(found)
    alive = weakref.ref(found.error)
    end(store, found)
    del found
    gc.collect()
    assert alive() is None
    data = store.find(ONE.tenant, "r1")
    assert data is not None
    assert b"secret" not in data
    assert json.loads(data)["error"] == {
        "kind": "server",
        "type": "api_error",
        "code": "upstream_error",
        "param": None,
    }


GATE = Rejection("b", "b-1", "gate", (), "success_rate is 0 %")


def test_a_gate_that_opened_before_or_after_the_decision() -> None:
    found = exchange()
    found.decision = decision("a", "b", "c", targets=("a", "c"), rejected=(GATE,))
    found.held_back = (("a", "a probe's place was taken"),)
    found.trail.append(attempt("c"))
    candidates = told(found)
    assert candidates["a"]["verdict"] == candidates["b"]["verdict"] == "rejected"
    assert candidates["a"]["reason"] == candidates["b"]["reason"] == "gate"
    assert candidates["a"]["detail"] == "a probe's place was taken"
    assert candidates["c"]["verdict"] == "answered"
    assert not record.over(found, status=200, error=None).gates_set_aside


@pytest.mark.parametrize("after", [False, True])
def test_gates_that_were_set_aside(after: bool) -> None:
    found = exchange()
    found.decision = decision("a", gates_set_aside=not after)
    found.held_back = (("a", "it failed"),) if after else ()
    found.trail.append(attempt("a"))
    assert record.over(found, status=200, error=None).gates_set_aside
    assert told(found)["a"]["verdict"] == "answered"


def test_a_provider_with_two_models_of_which_one_cannot_take_it() -> None:
    found = exchange()
    small, large = Target("a", "small", LIMITS), Target("a", "large", LIMITS)
    candidates = tuple(Candidate(one, frozenset()) for one in (small, large))
    found.decision = Decision("p", (small, large), "first preference", candidates=candidates)
    found.untranslatable = (("a", "x" * 500),)
    found.trail.append(attempt("a", model="large"))
    first, second = record.over(found, status=200, error=None).candidates
    assert (first.verdict, first.reason, first.missing) == ("rejected", "translation", ("x" * 200,))
    assert second.verdict == "answered"


def test_an_api_that_could_not_take_it_after_all() -> None:
    """What the provider referred to, in the middle of an attempt."""
    found = exchange()
    found.decision = decision("a", "b")
    error = TranslationError("`logprobs` cannot be sent", param="logprobs")
    found.trail += [attempt("a", error=error, end_reason="upstream_error"), attempt("b", 2)]
    found.untranslatable = (("a", "logprobs"),)
    candidates = told(found)
    assert (candidates["a"]["verdict"], candidates["a"]["reason"]) == ("rejected", "translation")
    assert candidates["b"]["verdict"] == "answered"
    assert record.over(found, status=200, error=None).attempts[0].error is not None


def test_an_agents_facts_are_in_its_attempt() -> None:
    found = exchange()
    found.decision = decision("a")
    found.trail.append(attempt("a", agent=AgentFacts("parked", "s1", 3, 0.25)))
    document = json.loads(encode(record.over(found, status=200, error=None)))
    assert document["attempts"][0]["agent"] == {
        "process": "parked",
        "session": "s1",
        "turns": 3,
        "cost": 0.25,
    }


def test_what_providers_make_up_is_cut() -> None:
    found = exchange()
    found.decision = decision("a")
    error = ProviderError("x", kind="server", native_type="t" * 900, code="c" * 900)
    found.trail.append(attempt("a", error=error, request_id="i" * 900, served_by="m" * 900))
    (call,) = record.over(found, status=502, error=error).attempts
    assert call.error is not None
    for text in (call.error.type, call.error.code, call.provider_request_id, call.answered_by):
        assert text is not None
        assert len(text) == 200


@pytest.mark.parametrize("tried", [True, False])
def test_a_model_that_a_client_made_up_is_short_in_a_record(tried: bool) -> None:
    long = Target("direct", "m" * 100_000, LIMITS)
    found = exchange()
    candidates = (Candidate(long, frozenset()),)
    found.decision = Decision("direct/m", (long,), "it was named", candidates=candidates)
    found.target = long
    if tried:
        found.trail.append(attempt("direct", model=long.model))
    document = encode(record.over(found, status=200, error=None))
    (candidate,) = json.loads(document)["candidates"]
    assert candidate["verdict"] == ("answered" if tried else "not_needed")
    assert len(document) < 4_000
