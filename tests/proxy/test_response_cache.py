"""Kept answers: bounds and times of the stores, and what the engine keeps and gives again."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any, cast

import msgspec
import pytest
from redis.asyncio import Redis

from policy.build import CapabilityTable, build
from policy.document import parse
from policy.schema import Policy
from proxy import assembly, service
from proxy.answer_redis import RedisAnswerStore
from proxy.answer_store import ENTRY_BYTES, AnswerStore, MemoryAnswerStore
from proxy.cache_use import ANY_ANSWER, CacheControl, cache_control
from proxy.config import Settings, load_settings
from proxy.engine import Engine
from proxy.exchange import Caller, Exchange
from proxy.gathering import FOLD_BYTES
from proxy.preparation import Preparation
from proxy.reasoning_store import MemoryReasoningStore, of_realm
from proxy.response_cache import KeptAnswer, ResponseCache
from tests.http.wire import eventually
from tests.proxy.played_provider import Item, played
from tests.redis_server import PASSWORD, RedisServer
from tests.translators.streams import accumulate_data
from translators.errors import ProviderError
from translators.wire.request import parse_request

Json = dict[str, Any]


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def memory(
    *, max_entries: int = 100, max_bytes: int = 100_000, clock: Clock | None = None
) -> MemoryAnswerStore:
    return MemoryAnswerStore(max_entries=max_entries, max_bytes=max_bytes, clock=clock or Clock())


class TestMemory:
    async def test_what_was_kept_is_found_and_the_last_word_counts(self) -> None:
        store = memory()
        store.keep("a", b"1", ttl=5)
        store.keep("a", b"2", ttl=9)
        assert await store.find("a") == b"2"
        assert await store.find("b") is None
        assert (len(store), store.size) == (1, 1 + ENTRY_BYTES)

    async def test_entries_are_bounded_and_the_least_used_goes_first(self) -> None:
        store = memory(max_entries=3)
        for key in "abc":
            store.keep(key, b"x", ttl=5)
        await store.find("a")
        store.keep("d", b"x", ttl=5)
        assert [await store.find(key) for key in "abcd"] == [b"x", None, b"x", b"x"]

    async def test_bytes_are_bounded(self) -> None:
        store = memory(max_bytes=3 * (1000 + ENTRY_BYTES))
        for number in range(50):
            store.keep(str(number), b"x" * 1000, ttl=5)
            assert store.size <= 3 * (1000 + ENTRY_BYTES)
        assert len(store) == 3
        store.keep("49", b"x" * 10_000, ttl=5)
        # What was there is of the past, and what is too large pushes nothing out.
        assert await store.find("49") is None
        assert await store.find("48") is not None

    async def test_each_entry_has_its_time_however_often_it_is_used(self) -> None:
        clock = Clock()
        store = memory(clock=clock)
        store.keep("long", b"x", ttl=100)
        store.keep("short", b"x", ttl=10)
        store.keep("also short", b"x", ttl=10)
        clock.now += 9.9
        assert await store.find("short") == b"x"
        clock.now += 0.1
        assert await store.find("short") is None
        # Not only the one that was asked for is gone from the memory.
        assert len(store) == 1
        store.keep("long", b"y", ttl=20)
        clock.now += 19.9
        assert await store.find("long") == b"y"
        clock.now += 0.1
        assert await store.find("long") is None

    async def test_the_books_balance(self) -> None:
        clock = Clock()
        store = memory(max_entries=5, max_bytes=5_000, clock=clock)
        for number in range(300):
            store.keep(str(number % 7), b"x" * (number % 900), ttl=3 + number % 4)
            await store.find(str(number % 5))
            clock.now += number % 3
        clock.now += 100
        await store.find("")
        assert (len(store), store.size) == (0, 0)
        store.keep("a", b"x", ttl=5)
        await store.aclose()
        assert (len(store), store.size) == (0, 0)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as process:
        yield process


@pytest.fixture
async def raw(server: RedisServer) -> AsyncIterator[Any]:
    client = cast("Any", Redis).from_url(server.url)
    await client.flushall()
    yield client
    await client.aclose()


async def written(raw: Any, count: int) -> None:
    async def there() -> bool:
        return await raw.dbsize() == count

    await eventually(there, 10)


class TestRedis:
    async def test_another_process_finds_what_was_kept_and_it_expires(
        self, server: RedisServer, raw: Any
    ) -> None:
        one, other = RedisAnswerStore(server.url), RedisAnswerStore(server.url)
        one.keep("k", b"\x00value", ttl=60)
        # Before it is written, too.
        assert await one.find("k") == b"\x00value"
        await written(raw, 1)
        assert await other.find("k") == b"\x00value"
        assert await other.find("j") is None
        (name,) = await raw.keys("*")
        assert name == b"ep:answer:1:k"
        assert 50_000 < await raw.pttl(name) <= 60_000
        one.keep("k", b"", ttl=0.001)
        await written(raw, 0)
        assert await other.find("k") is None
        assert (one.failures, other.failures) == (0, 0)
        await one.aclose()
        await other.aclose()

    async def test_a_server_that_is_gone_costs_answers_and_nothing_else(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with RedisServer() as brief:
            store = RedisAnswerStore(brief.url)
            brief.stop()
            with caplog.at_level(logging.WARNING):
                for _ in range(5):
                    assert await store.find("k") is None
                store.keep("k", b"x", ttl=5)
                await store.aclose()
        assert store.failures >= 5
        assert "The response cache in Redis" in caplog.text
        assert "Requests go to the providers." in caplog.text
        assert PASSWORD not in caplog.text


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("", ANY_ANSWER),
        ("no-cache", CacheControl(read=False)),
        (" No-Cache ,no-store", CacheControl(read=False, keep=False)),
        ("max-age=60", CacheControl(max_age=60)),
        ('max-age="60", no-transform', CacheControl(max_age=60)),
        ("max-age=" + "9" * 4000, CacheControl(max_age=999_999_999_999)),
        ("max-age=-1, max-age=x, max-age, max-age=², public=1,,=", ANY_ANSWER),
        ("no-cached, xno-store", ANY_ANSWER),
    ],
)
def test_the_header(said: str, wanted: CacheControl) -> None:
    assert cache_control(said) == wanted
    assert cache_control(wanted.header) == wanted


POLICY = """\
providers:
  p: {dialect: openai_chat, base_url: "http://x/v1", model: m, capabilities: [streaming, tools]}
personas:
  kept: {provider_preferences: [p], cache: {ttl: 60}}
  new: {provider_preferences: [p]}
"""


def policy(text: str = POLICY) -> Policy:
    return build(parse(text, "my.yaml"), capabilities=CapabilityTable(), read_prompt=str)


class Bench:
    """An engine over one played provider."""

    def __init__(
        self, *answers: list[Item], store: AnswerStore | None = None, max_answer_bytes: int = 10_000
    ) -> None:
        self.clock = Clock()
        self.store = store or memory(clock=self.clock)
        self.reasoning = MemoryReasoningStore(
            max_entries=10, max_bytes=10_000, max_age=1e6, clock=self.clock
        )
        provider, self.transport = played(*answers)
        found = policy()
        self.engine = Engine(
            policy=found,
            availability={},
            preparation=Preparation(found, {"p": provider}),
            reasoning=self.reasoning,
            cache=ResponseCache(
                self.store,
                max_answer_bytes=max_answer_bytes,
                reasoning=self.reasoning,
                clock=self.clock,
            ),
        )

    @property
    def calls(self) -> int:
        return len(self.transport.requests)

    def exchange(self, *, stream: bool, tenant: str = "me", **fields: Any) -> Exchange:
        body = {"model": "kept", "messages": [{"role": "user", "content": "Hi"}], **fields}
        return Exchange(
            chat=parse_request(json.dumps({**body, "stream": stream}).encode()),
            request_id="req_1",
            caller=Caller(tenant=tenant),
        )

    async def ask(
        self, *, stream: bool, exchange: Exchange | None = None, **fields: Any
    ) -> tuple[str, Json]:
        """Return `hit` or `miss`, and the answer as the OpenAI SDK has it."""
        exchange = exchange or self.exchange(stream=stream, **fields)
        if not stream:
            found = json.loads((await self.engine.complete(exchange)).data)
        else:
            async with self.engine.stream(exchange) as batches:
                told = [chunk.data async for batch in batches for chunk in batch]
            found = accumulate_data(told).model_dump()
        return exchange.cache.word if exchange.cache else "none", found


ANSWER: list[Item] = [("text", "Hel"), ("text", "lo"), ("usage", 3), ("end", "stop")]
BOTH = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


class TestEngine:
    @BOTH
    async def test_an_answer_is_given_again_for_as_long_as_the_policy_says(
        self, stream: bool
    ) -> None:
        bench = Bench(ANSWER)
        word, first = await bench.ask(stream=stream)
        assert word == "miss"
        bench.clock.now += 59.5
        for again in (True, False):
            exchange = bench.exchange(stream=again)
            word, answer = await bench.ask(stream=again, exchange=exchange)
            assert word == "hit"
            assert answer["choices"][0]["message"]["content"] == "Hello"
            assert answer["id"] == first["id"]
            headers = dict(exchange.headers())
            assert (headers[b"age"], headers[b"x-ep-attempts"]) == (b"59", b"0")
            assert (exchange.end_reason, exchange.chat) == ("completed", None)
        assert bench.calls == 1
        bench.clock.now += 0.6
        assert (await bench.ask(stream=stream))[0] == "miss"
        assert bench.calls == 2

    async def test_a_persona_without_it_leaves_no_trace(self) -> None:
        bench = Bench(ANSWER)
        for stream in (True, False):
            assert (await bench.ask(stream=stream, model="new"))[0] == "none"
        assert cast("MemoryAnswerStore", bench.store).size == 0

    async def test_tenants_are_apart(self) -> None:
        bench = Bench(ANSWER)
        words = [(await bench.ask(stream=False, tenant=who))[0] for who in ("me", "you", "me")]
        assert words == ["miss", "miss", "hit"]

    @BOTH
    @pytest.mark.parametrize(
        "answer",
        [
            [("text", "Hi"), ("end", "length")],
            [("text", "Hi"), ("end", "content_filter")],
            [("text", "Hi"), ("end", "new_reason")],
            [("refusal", "No."), ("end", "stop")],
            [("text", "I think"), ("refusal", "No."), ("end", "stop")],
            [("text", ""), ("end", "stop")],
            [("reasoning_content", "Hm."), ("end", "stop")],
        ],
        ids=["length", "filter", "unknown", "refusal", "late refusal", "empty", "only thoughts"],
    )
    async def test_what_is_no_whole_answer_is_not_kept(
        self, answer: list[Item], stream: bool
    ) -> None:
        bench = Bench(answer)
        exchanges = [bench.exchange(stream=stream) for _ in range(2)]
        for exchange in exchanges:
            if stream:
                async with bench.engine.stream(exchange) as batches:
                    async for _ in batches:
                        pass
            else:
                await bench.engine.complete(exchange)
        assert bench.calls == 2
        assert cast("MemoryAnswerStore", bench.store).size == 0

    @BOTH
    async def test_errors_and_broken_streams_are_not_kept(self, stream: bool) -> None:
        broken: list[Item] = [("text", "Hel"), OSError("gone")]
        bench = Bench(broken, [("text", "Hel")], ANSWER)
        for _ in range(2):
            with pytest.raises((ProviderError, OSError)):
                await bench.ask(stream=True)
        assert (await bench.ask(stream=stream))[0] == "miss"
        assert (await bench.ask(stream=stream))[0] == "hit"

    async def test_an_answer_that_nobody_read_to_its_end_is_not_kept(self) -> None:
        bench = Bench(ANSWER)
        async with bench.engine.stream(bench.exchange(stream=True)) as batches:
            await anext(aiter(batches))
        assert (await bench.ask(stream=True))[0] == "miss"

    async def test_a_replay_that_nobody_read_to_its_end_says_so(self) -> None:
        text = "x" * 100_000
        bench = Bench([("text", "Hi"), ("text", text), ("end", "stop")], max_answer_bytes=1_000_000)
        bench.store = memory(max_bytes=10**6)
        bench.engine = replace(
            bench.engine, cache=ResponseCache(bench.store, max_answer_bytes=10**6)
        )
        await bench.ask(stream=True)
        exchange = bench.exchange(stream=True)
        exchange.cancelled_because = "client_disconnect"
        async with bench.engine.stream(exchange) as batches:
            first = await anext(aiter(batches))
        assert exchange.cache is not None
        assert exchange.cache.word == "hit"
        assert exchange.end_reason == "client_disconnect"
        assert sum(len(chunk.data) for chunk in first) < 64 * 1024

    @BOTH
    async def test_the_size_of_an_answer_is_bounded_however_it_comes(self, stream: bool) -> None:
        words: list[Item] = [("text", "word ") for _ in range(3000)]
        large: list[Item] = [*words, ("end", "stop")]
        bench = Bench(large, max_answer_bytes=10_000)
        await bench.ask(stream=stream)
        assert (await bench.ask(stream=stream))[0] == "miss"
        # Chunks are larger than what they say, and do not count as such.
        assert 3000 * 150 > FOLD_BYTES > 15_000
        bench = Bench(large, max_answer_bytes=16_000)
        await bench.ask(stream=stream)
        word, answer = await bench.ask(stream=stream)
        assert word == "hit"
        assert answer["choices"][0]["message"]["content"] == "word " * 3000

    async def test_a_larger_one_is_let_go_before_its_end(self) -> None:
        words: list[Item] = [("text", "word " * 100) for _ in range(1000)]
        bench = Bench([*words, ("end", "stop")], max_answer_bytes=10_000)
        exchange = bench.exchange(stream=True)
        async with bench.engine.stream(exchange) as batches:
            for _ in range(500):
                await anext(aiter(batches))
            recorder: Any = cast("Any", batches)._recorder
            assert recorder._gathering is None

    @pytest.mark.parametrize(
        "calls", [5, "x", [{"index": 10**9, "id": "a"}], [{"index": -1}], [{"index": "x"}]]
    )
    async def test_chunks_that_make_no_answer_are_told_and_not_kept(self, calls: Any) -> None:
        bench = Bench([("text", "Hi"), ("tool_calls", calls), ("text", "!"), ("end", "stop")])
        for number in (1, 2):
            exchange = bench.exchange(stream=True)
            async with bench.engine.stream(exchange) as batches:
                told = [chunk.data async for batch in batches for chunk in batch]
            assert b'"finish_reason":"stop"' in told[-1]
            assert exchange.end_reason == "completed"
            assert bench.calls == number

    async def test_calls_are_remembered_anew(self) -> None:
        bench = Bench([("call", "call_1"), ("end", "tool_calls")])
        tools = [{"type": "function", "function": {"name": "f"}}]
        await bench.ask(stream=False, tools=tools)
        realm = bench.engine.preparation.realm("p")
        known = of_realm(await bench.reasoning.recall("me", ["call_1"]), realm)
        assert known == {"call_1": {"played": "call_1"}}
        await bench.reasoning.aclose()
        assert (await bench.ask(stream=True, tools=tools))[0] == "hit"
        assert of_realm(await bench.reasoning.recall("me", ["call_1"]), realm) == known
        assert await bench.reasoning.recall("you", ["call_1"]) == {}

    async def test_a_changed_policy_gets_no_old_answers_and_the_old_one_still_does(self) -> None:
        bench = Bench(ANSWER)
        await bench.ask(stream=False)
        old = bench.engine
        changed = policy(POLICY.replace("kept: {", "kept: {system_prompt: Be brief., "))
        changed = changed.replace(
            providers={
                "p": changed.providers["p"].model_copy(
                    update={"capabilities": ("system_prompts", "streaming")}
                )
            }
        )
        preparation = replace(old.preparation, policy=changed)
        bench.engine = replace(old, policy=changed, preparation=preparation)
        assert (await bench.ask(stream=False))[0] == "miss"
        bench.engine = old
        assert (await bench.ask(stream=False))[0] == "hit"

    async def test_a_shorter_time_counts_for_what_is_there_already(self) -> None:
        bench = Bench(ANSWER)
        await bench.ask(stream=False)
        bench.clock.now += 20
        shorter = policy(POLICY.replace("ttl: 60", "ttl: 10"))
        bench.engine = replace(bench.engine, policy=shorter)
        assert (await bench.ask(stream=False))[0] == "miss"

    async def test_clients_say_how_old_it_may_be(self) -> None:
        bench = Bench(ANSWER)
        await bench.ask(stream=False)
        bench.clock.now += 20
        for said, word in (("max-age=21", "hit"), ("max-age=19, no-store", "miss")):
            exchange = bench.exchange(stream=False)
            exchange.cache_control = cache_control(said)
            assert (await bench.ask(stream=False, exchange=exchange))[0] == word

    async def test_a_clock_that_was_set_back_makes_no_negative_age(self) -> None:
        bench = Bench(ANSWER, store=memory())
        await bench.ask(stream=False)
        bench.clock.now -= 100
        exchange = bench.exchange(stream=False)
        assert (await bench.ask(stream=False, exchange=exchange))[0] == "hit"
        assert dict(exchange.headers())[b"age"] == b"0"

    async def test_two_at_once_both_ask_and_the_later_answer_is_kept(self) -> None:
        slow = asyncio.Event()
        one: list[Item] = [slow, ("text", "late"), ("end", "stop")]
        bench = Bench(one, [("text", "early"), ("end", "stop")])
        first = asyncio.create_task(bench.ask(stream=False))
        await bench.transport.reached(1)
        assert (await bench.ask(stream=False))[0] == "miss"
        slow.set()
        assert (await first)[0] == "miss"
        word, answer = await bench.ask(stream=False)
        assert (word, answer["choices"][0]["message"]["content"]) == ("hit", "late")


class Liar:
    """A store that gives what it likes."""

    def __init__(self, value: bytes) -> None:
        self.value = value

    def keep(self, key: str, value: bytes, *, ttl: float) -> None:
        self.kept = value

    async def find(self, key: str) -> bytes | None:
        return self.value

    async def aclose(self) -> None:
        pass


async def kept_bytes() -> bytes:
    liar = Liar(b"")
    await Bench(ANSWER, store=liar).ask(stream=False)
    return liar.kept


def altered(entry: bytes, **changes: Any) -> bytes:
    kept = msgspec.msgpack.decode(entry, type=KeptAnswer)
    return msgspec.msgpack.encode(msgspec.structs.replace(kept, **changes))


class TestOddEntries:
    async def test_an_entry_is_believed_under_its_own_key_only(self) -> None:
        right = await kept_bytes()
        assert (await Bench(ANSWER, store=Liar(right)).ask(stream=False))[0] == "hit"
        bench = Bench(ANSWER, store=Liar(right))
        assert (await bench.ask(stream=False, seed=1))[0] == "miss"
        assert (await bench.ask(stream=False, tenant="you"))[0] == "miss"

    @pytest.mark.parametrize("stream", [True, False])
    async def test_what_is_no_answer_is_none(self, stream: bool) -> None:
        right = await kept_bytes()
        body = json.loads(msgspec.msgpack.decode(right, type=KeptAnswer).data)
        no_reason = {**body, "choices": [{**body["choices"][0], "finish_reason": None}]}
        odd = [
            *(b"", b"\xff", b"\xc1", b"[]", right[:-3], right + b"x", b"\x91" * 5000),
            altered(right, provider="nobody"),
            *(altered(right, data=data) for data in (b"", b"{}", b"[" * 5000, b'{"choices":[]}')),
            altered(right, data=json.dumps(no_reason).encode()),
        ]
        for value in odd:
            bench = Bench(ANSWER, store=Liar(value))
            word, answer = await bench.ask(stream=stream)
            assert (word, answer["choices"][0]["message"]["content"]) == ("miss", "Hello")


class TestService:
    async def test_there_is_one_only_where_a_persona_asks_for_it(self) -> None:
        plain = policy(POLICY.replace(", cache: {ttl: 60}", ""))
        async with service.open_service(service.Configuration(Settings(), plain, {})) as opened:
            assert opened.generation.engine.cache is None
        async with service.open_service(service.Configuration(Settings(), policy(), {})) as opened:
            assert opened.generation.engine.cache is not None

    async def test_redis_is_used_where_it_is_named(self) -> None:
        settings = load_settings({"EP_REDIS_URL": "redis://x"})
        reasoning = assembly.reasoning_store(Settings(), policy())
        made = assembly.response_cache(settings, policy(), reasoning)
        assert made is not None
        assert isinstance(cast("Any", made)._store, RedisAnswerStore)
        await made.aclose()
