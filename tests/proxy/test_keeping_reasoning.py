"""When the reasoning of an answer is kept: before its client can know of the call."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from policy.providers import ProviderRow, Target, Timeouts
from proxy.attempt import Attempt
from proxy.delivery import Delivery
from proxy.exchange import Caller, Exchange
from proxy.provider import AnswerStream
from proxy.reasoning_store import of_realm
from translators.errors import ProviderError
from translators.fidelity import Report
from translators.protocol import Chunk, Outcome
from translators.wire.request import ChatCompletionRequest

FIRST, SECOND = {"google": {"thought_signature": "1"}}, {"google": {"thought_signature": "2"}}


class Store:
    def __init__(self) -> None:
        self.kept: list[tuple[str, Mapping[str, Any]]] = []

    def remember(self, tenant: str, reasoning: Mapping[str, Any]) -> None:
        assert {entry["realm"] for entry in reasoning.values()} == {"here"}
        self.kept.append((tenant, of_realm(reasoning, "here")))

    async def recall(self, tenant: str, ids: Sequence[str]) -> Mapping[str, Any]:
        return {}

    def keep_within(self, *, max_entries: int, max_bytes: int, max_age: float) -> None:
        pass

    async def aclose(self) -> None:
        pass


class Answer:
    """Yields batches; each says what the outcome has of reasoning by then."""

    def __init__(self, *batches: Mapping[str, Any] | Exception) -> None:
        self.outcome = Outcome()
        self._batches = list(batches)

    def __aiter__(self) -> "Answer":
        return self

    async def __anext__(self) -> list[Chunk]:
        if not self._batches:
            raise StopAsyncIteration
        batch = self._batches.pop(0)
        if isinstance(batch, Exception):
            raise batch
        self.outcome.reasoning = dict(batch)
        return [Chunk(b"{}", True)]

    async def aclose(self) -> None:
        pass


def attempt_with(store: Store) -> Attempt:
    chat = ChatCompletionRequest.model_validate(
        {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    )
    attempt = Attempt(
        Exchange(chat=chat, request_id="r", caller=Caller("key 1", tenant="me")),
        Target("p", "m", Timeouts()),
        row=ProviderRow(dialect="gemini_generate", base_url="http://x", model="m"),
        report=Report(),
        reason="initial",
    )
    attempt.store = store
    attempt.realm = "here"
    return attempt


def delivery_of(answer: Answer, store: Store) -> Delivery:
    attempt = attempt_with(store)
    attempt.opened(answer.outcome)
    attempt.begun()
    return Delivery(attempt, cast("AnswerStream", answer), [])


async def test_it_is_kept_before_the_client_gets_the_call_and_once() -> None:
    store = Store()
    batches: list[Mapping[str, Any]] = [{}, {"a": FIRST}, {"a": FIRST}, {"a": FIRST, "b": SECOND}]
    delivery = delivery_of(Answer(*batches), store)
    counts: list[int] = []
    async for _ in delivery:
        counts.append(len(store.kept))
    assert counts == [0, 1, 1, 2]
    assert store.kept == [("me", {"a": FIRST}), ("me", {"b": SECOND})]


async def test_it_is_kept_in_whatever_order_the_choices_of_an_answer_fill_it() -> None:
    store = Store()
    async for _ in delivery_of(Answer({"b": SECOND}, {"a": FIRST, "b": SECOND}), store):
        pass
    assert store.kept == [("me", {"b": SECOND}), ("me", {"a": FIRST})]


async def test_what_the_head_of_the_answer_says_is_kept() -> None:
    store, answer = Store(), Answer()
    answer.outcome.reasoning["a"] = FIRST
    attempt = attempt_with(store)
    attempt.opened(answer.outcome)
    attempt.begun()
    delivery = Delivery(attempt, cast("AnswerStream", answer), [[Chunk(b"{}", True)]])
    await anext(delivery)
    assert store.kept == [("me", {"a": FIRST})]


async def test_a_client_that_leaves_changes_nothing() -> None:
    store = Store()
    delivery = delivery_of(Answer({"a": FIRST}, {"a": FIRST, "b": SECOND}), store)
    await anext(delivery)
    await delivery.aclose()
    assert store.kept == [("me", {"a": FIRST})]


async def test_what_is_known_at_the_end_only_is_kept_then() -> None:
    store, answer = Store(), Answer({})
    delivery = delivery_of(answer, store)
    await anext(delivery)
    answer.outcome.reasoning["a"] = FIRST
    async for _ in delivery:
        pass
    assert store.kept == [("me", {"a": FIRST})]


async def test_an_answer_that_broke_off_leaves_what_came_of_it() -> None:
    store = Store()
    delivery = delivery_of(Answer({"a": FIRST}, ProviderError("broken", kind="protocol")), store)
    with pytest.raises(ProviderError):
        async for _ in delivery:
            pass
    assert store.kept == [("me", {"a": FIRST})]


async def test_an_answer_that_no_client_saw_leaves_nothing() -> None:
    store = Store()
    attempt = attempt_with(store)
    attempt.opened(Outcome(reasoning={"a": FIRST}))
    attempt.failed(ProviderError("broken", kind="protocol"))
    assert store.kept == []


async def test_a_whole_answer_is_kept_at_its_end() -> None:
    store = Store()
    attempt = attempt_with(store)
    attempt.opened(Outcome(reasoning={"a": FIRST, "b": SECOND}))
    attempt.begun()
    attempt.end()
    attempt.end()
    assert store.kept == [("me", {"a": FIRST, "b": SECOND})]


async def test_an_answer_without_reasoning_asks_nothing_of_the_store() -> None:
    store = Store()
    async for _ in delivery_of(Answer({}, {}), store):
        pass
    assert store.kept == []
