"""Whose reasoning is whose: told by the key, whatever its place among others and its name."""

import hashlib
from typing import Any

import pytest

from policy.decision import Decision
from policy.providers import ProviderRow
from policy.schema import ClientKey, Persona, Policy, Target, Timeouts
from proxy.access import Access
from proxy.attempt import Attempt
from proxy.exchange import Caller, Exchange
from proxy.http import HttpClient
from proxy.preparation import Preparation
from proxy.reasoning_store import MemoryReasoningStore, realm_of
from proxy.registry import create_provider
from proxy.ticker import Ticker
from translators.fidelity import Report
from translators.protocol import Outcome
from translators.wire.request import ChatCompletionRequest

ALICE, BOB, CAROL = "ep-alice-11f0", "ep-bob-7d3a", "ep-carol-c2c2"
EXTRA: Any = {"google": {"thought_signature": "c2lnbmF0dXJl"}}
ROW = ProviderRow(
    dialect="gemini_generate", base_url="http://127.0.0.1:9", model="gemini-3.6-flash"
)
TARGET = Target("gemini", ROW.model, Timeouts())
DECISION = Decision("p", (TARGET,), "first preference")


def hashed(key: str, name: str) -> ClientKey:
    return ClientKey(name=name, sha256=hashlib.sha256(key.encode()).hexdigest())


def caller(access: Access, key: str) -> Caller:
    return access.caller({"headers": [(b"authorization", f"Bearer {key}".encode())]})


def exchange_of(who: Caller) -> Exchange:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "x"},
    ]
    chat = ChatCompletionRequest.model_validate({"model": "p", "messages": messages})
    return Exchange(chat=chat, request_id="r", caller=who)


class Conversation:
    """What one caller's answer leaves in a store, and what another's next turn finds there."""

    def __init__(self) -> None:
        self.store = MemoryReasoningStore(max_entries=10, max_bytes=10_000, max_age=60)

    def answered(self, who: Caller) -> None:
        attempt = Attempt(exchange_of(who), TARGET, row=ROW, report=Report(), reason="initial")
        attempt.store = self.store
        attempt.realm = realm_of(ROW, None)
        attempt.opened(Outcome(reasoning={"call_1": EXTRA}))
        attempt.begun()
        attempt.end()

    async def finds(self, who: Caller) -> bool:
        client = HttpClient(Ticker())
        policy = Policy(
            providers={"gemini": ROW},
            personas={"p": Persona.model_validate({"provider_preferences": ["gemini"]})},
        )
        provider = create_provider(ROW, key="k", client=client)
        preparation = Preparation(policy, {"gemini": provider}, reasoning=self.store)
        exchange = exchange_of(who)
        chat = await preparation.chat_for(exchange, DECISION, TARGET)
        await client.aclose()
        dumped = chat.model_dump_json()
        assert bool(exchange.restored) == (EXTRA["google"]["thought_signature"] in dumped)
        return bool(exchange.restored)


@pytest.fixture
def conversation() -> Conversation:
    return Conversation()


async def test_keys_that_change_places_keep_what_is_theirs(conversation: Conversation) -> None:
    before, after = Access([ALICE, BOB], ()), Access([BOB, ALICE], ())
    conversation.answered(caller(before, ALICE))
    assert caller(before, ALICE).name == caller(after, BOB).name == "key 1"
    assert await conversation.finds(caller(after, ALICE))
    assert not await conversation.finds(caller(after, BOB))


async def test_a_key_in_anothers_place_finds_nothing(conversation: Conversation) -> None:
    conversation.answered(caller(Access([ALICE], ()), ALICE))
    assert not await conversation.finds(caller(Access([CAROL], ()), CAROL))


async def test_one_name_is_not_one_tenant(conversation: Conversation) -> None:
    access = Access([ALICE], [hashed(BOB, "key 1")])
    assert caller(access, ALICE).name == caller(access, BOB).name
    conversation.answered(caller(access, ALICE))
    assert not await conversation.finds(caller(access, BOB))
    assert await conversation.finds(caller(access, ALICE))


async def test_a_key_that_moves_into_the_policy_stays_itself(conversation: Conversation) -> None:
    conversation.answered(caller(Access([ALICE], ()), ALICE))
    row = ClientKey(name="ci", sha256=hashlib.sha256(ALICE.encode()).hexdigest().upper())
    assert await conversation.finds(caller(Access([BOB], [row]), ALICE))


async def test_without_keys_all_are_one(conversation: Conversation) -> None:
    conversation.answered(caller(Access([], ()), "anything"))
    assert await conversation.finds(Caller())
    assert not await conversation.finds(caller(Access([ALICE], ()), ALICE))


def test_a_tenant_is_not_the_key_and_is_not_shown() -> None:
    found = caller(Access([ALICE], ()), ALICE)
    assert ALICE not in found.tenant
    assert found.tenant not in repr(found)
    assert found.tenant not in str(exchange_of(found).attributes())
