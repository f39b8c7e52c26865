"""Reasoning goes back where it was made, and nowhere else: by server, account and process."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from policy.decision import Decision
from policy.providers import ProviderRow
from policy.schema import Persona, Policy, Target, Timeouts
from proxy.attempt import Attempt
from proxy.call import Call
from proxy.exchange import Caller, Exchange
from proxy.preparation import Preparation
from proxy.provider import ChatProvider, Provider
from proxy.providers.api_choice import ApiChoice, Likeness
from proxy.reasoning_store import MemoryReasoningStore, ReasoningStore, in_realm, realm_of
from translators.anthropic_messages.translator import AnthropicMessagesTranslator
from translators.errors import ProviderError
from translators.fidelity import Report
from translators.openai_chat.translator import OpenAIChatTranslator
from translators.openai_responses.translator import OpenAIResponsesTranslator
from translators.protocol import Outcome
from translators.wire.request import ChatCompletionRequest

Json = dict[str, Any]
SIGNED: Json = {
    "anthropic": {"thinking_blocks": [{"type": "thinking", "thinking": "Hm", "signature": "s1"}]}
}
ITEM: Json = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "enc"}
ENCRYPTED: Json = {"openai": {"reasoning_items": [ITEM]}}
REFERRAL = "Function tools with reasoning_effort are not supported for m: use /v1/responses."


def row(dialect: str = "anthropic_messages", **fields: Any) -> ProviderRow:
    fields = {"base_url": "https://a.example/v1", "model": "m", **fields}
    return ProviderRow.model_validate({"dialect": dialect, **fields})


def memory() -> MemoryReasoningStore:
    return MemoryReasoningStore(max_entries=10, max_bytes=100_000, max_age=60)


def exchange(*, strict: bool = False) -> Exchange:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    function = {"name": "f", "parameters": {"type": "object"}}
    chat = ChatCompletionRequest.model_validate(
        {
            "model": "p",
            "reasoning_effort": "high",
            "tools": [{"type": "function", "function": function}],
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_1", "content": "x"},
            ],
        }
    )
    return Exchange(chat=chat, request_id="r", caller=Caller(tenant="me"), strict=strict)


class TestRealms:
    @pytest.mark.parametrize(
        "other",
        [
            realm_of(row(base_url="https://b.example/v1"), "key"),
            realm_of(row(), "another key"),
            realm_of(row(), None),
            realm_of(row("openai_chat", headers={"OpenAI-Organization": "org-2"}), "key"),
        ],
        ids=["server", "key", "no key", "organisation"],
    )
    def test_servers_and_accounts_differ(self, other: str) -> None:
        assert realm_of(row(), "key") != other

    def test_projects_in_a_cloud_differ(self) -> None:
        first, second = (
            row(base_url="https://x", credentials="vertex", project=project, location="global")
            for project in ("project-1", "project-2")
        )
        assert realm_of(first, None) != realm_of(second, None)

    def test_openais_two_apis_and_all_models_of_a_server_are_one(self) -> None:
        chat, responses = row("openai_chat"), row("openai_responses", model="n", capabilities=())
        assert realm_of(chat, "key") == realm_of(responses, "key")

    def test_nothing_of_a_key_can_be_read(self) -> None:
        assert "top-secret" not in realm_of(row(), "top-secret")


class Transport:
    """Refuses as it is told to, and knows what was sent."""

    def __init__(self, error: ProviderError) -> None:
        self.error = error
        self.sent: list[Any] = []

    async def send(self, request: Any, call: Call, /) -> Any:
        self.sent.append(request.body)
        raise self.error

    async def open(self, request: Any, call: Call, /) -> Any:
        return await self.send(request, call)

    async def aclose(self) -> None:
        pass


def nothing(error: Exception) -> None:
    pass


def preparation(
    rows: Mapping[str, ProviderRow],
    providers: Mapping[str, ChatProvider],
    store: ReasoningStore,
    **fields: Any,
) -> Preparation:
    persona = Persona.model_validate({"provider_preferences": list(rows)})
    return Preparation(
        Policy(providers=dict(rows), personas={"p": persona}), providers, reasoning=store, **fields
    )


async def chat_for(prepared: Preparation, record: Exchange, provider: str) -> list[Json]:
    target = Target(provider, "m", Timeouts())
    chat = await prepared.chat_for(record, Decision("p", (target,), "first"), target)
    return chat.to_wire()["messages"][1]["tool_calls"]


def claude(*names: str) -> dict[str, ChatProvider]:
    refusing = Transport(ProviderError("x", kind="server"))
    return {name: Provider(AnthropicMessagesTranslator(), refusing, nothing) for name in names}


class TestRows:
    """`compat` and `claude` speak one dialect, at different servers; `again` is `compat`."""

    ROWS: Mapping[str, ProviderRow] = {
        "compat": row(),
        "claude": row(base_url="https://b.example/v1"),
        "again": row(),
    }

    async def test_one_servers_signature_never_reaches_another(self) -> None:
        store, record = memory(), exchange()
        here = preparation(self.ROWS, claude(*self.ROWS), store)
        attempt = Attempt(
            record,
            Target("compat", "m", Timeouts()),
            row=self.ROWS["compat"],
            report=Report(),
            reason="initial",
        )
        attempt.store, attempt.realm = store, here.realm("compat")
        attempt.opened(Outcome(reasoning={"call_1": SIGNED}))
        attempt.end()
        attempt.keep_reasoning()

        record = exchange(strict=True)
        assert "extra_content" not in (await chat_for(here, record, "claude"))[0]
        assert record.restored == 0
        for name in ("compat", "again"):
            assert (await chat_for(here, record, name))[0]["extra_content"] == SIGNED
            assert record.restored == 1

    async def test_an_account_is_told_by_its_key(self) -> None:
        store = memory()
        realms = {name: realm_of(self.ROWS["compat"], name) for name in ("compat", "again")}
        here = preparation(self.ROWS, claude(*self.ROWS), store, realms=realms)
        store.remember("me", in_realm({"call_1": SIGNED}, realms["compat"]))
        assert "extra_content" not in (await chat_for(here, exchange(), "again"))[0]
        assert (await chat_for(here, exchange(), "compat"))[0]["extra_content"] == SIGNED

    async def test_entries_without_a_realm_are_not_believed(self) -> None:
        entries: list[Any] = [SIGNED, {"extra": SIGNED}, None, [], {"realm": "", "extra": SIGNED}]
        for entry in entries:
            store = memory()
            store.remember("me", {"call_1": entry})
            here = preparation(self.ROWS, claude(*self.ROWS), store)
            assert "extra_content" not in (await chat_for(here, exchange(), "compat"))[0]

    async def test_the_store_is_asked_once_for_all_targets(self) -> None:
        asked: list[Sequence[str]] = []

        class Slow(MemoryReasoningStore):
            async def recall(self, tenant: str, ids: Sequence[str]) -> Mapping[str, Any]:
                asked.append(ids)
                return await super().recall(tenant, ids)

        store, record = Slow(max_entries=10, max_bytes=100_000, max_age=60), exchange()
        here = preparation(self.ROWS, claude(*self.ROWS), store)
        store.remember("me", in_realm({"call_1": SIGNED}, here.realm("claude")))
        found = [await chat_for(here, record, name) for name in self.ROWS]
        assert ["extra_content" in calls[0] for calls in found] == [False, True, False]
        assert asked == [["call_1"]]
        record = exchange()
        await chat_for(here, record, "claude")
        assert len(asked) == 2


class Replica:
    """A process that may have learned nothing yet of what the server refers to Responses."""

    def __init__(self, store: ReasoningStore, *, at_openai: bool) -> None:
        self.chat = Transport(ProviderError(REFERRAL, status=400, kind="invalid"))
        self.responses = Transport(ProviderError("enough", status=500, kind="server"))
        self.choice = ApiChoice(
            Provider(OpenAIChatTranslator(), self.chat, nothing),
            Provider(OpenAIResponsesTranslator(), self.responses, nothing),
            at_openai=at_openai,
        )
        rows = {"openai": row("openai_chat")}
        self.preparation = preparation(rows, {"openai": self.choice}, store)

    async def ask(self, record: Exchange) -> Report:
        target = Target("openai", "m", Timeouts())
        decision = Decision("p", (target,), "first")
        prepared = await self.preparation.prepare(record, decision, target)
        report = prepared.report
        with pytest.raises(ProviderError, match="enough"):
            await prepared.complete(Call())
        return report


def remembered() -> MemoryReasoningStore:
    store = memory()
    store.remember("me", in_realm({"call_1": ENCRYPTED}, realm_of(row("openai_chat"), None)))
    return store


class TestReplica:
    @pytest.mark.parametrize("learned", [True, False], ids=["learned", "fresh"])
    async def test_a_referred_request_has_its_reasoning(self, learned: bool) -> None:
        replica, record = Replica(remembered(), at_openai=False), exchange(strict=True)
        if learned:
            replica.choice.learn(Likeness.of(record.request, "m"))
        # Strict: what the store has added is no loss of the client's.
        report = await replica.ask(record)
        assert report.ignored == ()
        (sent,) = replica.responses.sent
        assert [item for item in sent["input"] if item.get("type") == "reasoning"] == [ITEM]
        assert len(replica.chat.sent) == (0 if learned else 1)
        assert "extra_content" not in str(replica.chat.sent)
        assert record.restored == 1

    async def test_at_openai_a_hit_saves_the_refusal(self) -> None:
        replica = Replica(remembered(), at_openai=True)
        await replica.ask(exchange(strict=True))
        assert (len(replica.chat.sent), len(replica.responses.sent)) == (0, 1)
        assert ITEM in replica.responses.sent[0]["input"]

    async def test_without_a_hit_chat_completions_is_asked_first(self) -> None:
        replica = Replica(memory(), at_openai=True)
        await replica.ask(exchange(strict=True))
        assert (len(replica.chat.sent), len(replica.responses.sent)) == (1, 1)

    async def test_what_the_client_sent_is_still_reported(self) -> None:
        replica, record = Replica(remembered(), at_openai=False), exchange()
        wire = record.request.to_wire()
        wire["messages"][1]["tool_calls"][0]["extra_content"] = SIGNED
        record.chat = ChatCompletionRequest.model_validate(wire)
        report = await replica.ask(record)
        assert report.ignored == ("messages[].tool_calls[].extra_content",)


def with_file(effort: str | None) -> ChatCompletionRequest:
    part = {"type": "file", "file": {"file_url": "https://files.example/a.pdf"}}
    message = {"role": "user", "content": [part]}
    return ChatCompletionRequest.model_validate(
        {"model": "m", "messages": [message], "reasoning_effort": effort}
    )


async def test_media_are_fetched_for_the_api_that_is_asked_first() -> None:
    class Fetches:
        def __init__(self, name: str) -> None:
            self.name = name

        def media_to_fetch(self, chat: ChatCompletionRequest, *, model: str) -> Sequence[str]:
            return [self.name]

    chat, responses = Fetches("chat"), Fetches("responses")
    both: Any = (chat, responses)
    choice = ApiChoice(*both)
    choice.learn(Likeness.of(with_file("high"), "m"))
    assert choice.media_to_fetch(with_file("high"), model="m") == ["responses"]
    assert choice.media_to_fetch(with_file("low"), model="m") == ["chat"]
    assert choice.media_to_fetch(with_file("high"), model="n") == ["chat"]
    assert ApiChoice(*both, only_responses=True).media_to_fetch(with_file(None), model="m") == [
        "responses"
    ]
