"""What answers left for their next turn: bounds, tenants, and Redis with all its failures."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from policy.build import CapabilityTable, build
from policy.document import parse
from policy.errors import PolicyError
from policy.schema import Policy
from proxy import redis_entries, service
from proxy.assembly import reasoning_store
from proxy.config import ConfigurationError, Settings, load_settings
from proxy.reasoning_redis import RedisReasoningStore
from proxy.reasoning_store import ENTRY_BYTES, NO_REASONING_STORE, MemoryReasoningStore
from proxy.redis_entries import check_url
from tests.http.wire import eventually
from tests.providers import closed_port
from tests.redis_server import PASSWORD, RedisServer

SIGNATURE = {"google": {"thought_signature": "c2lnbmF0dXJl"}}
THINKING = {"anthropic": {"thinking_blocks": [{"type": "thinking", "thinking": "Hm – ja."}]}}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def memory(
    *, max_entries: int = 100, max_bytes: int = 100_000, max_age: float = 60, clock: Any = None
) -> MemoryReasoningStore:
    return MemoryReasoningStore(
        max_entries=max_entries, max_bytes=max_bytes, max_age=max_age, clock=clock or Clock()
    )


class TestMemory:
    async def test_what_was_remembered_is_recalled(self) -> None:
        store = memory()
        store.remember("me", {"a": SIGNATURE, "b": THINKING})
        assert await store.recall("me", ["b", "x", "a"]) == {"a": SIGNATURE, "b": THINKING}

    async def test_it_is_a_copy(self) -> None:
        store, entry = memory(), {"google": {"thought_signature": "x"}}
        store.remember("me", {"a": entry})
        entry["google"]["thought_signature"] = "changed"
        found = await store.recall("me", ["a"])
        assert found == {"a": {"google": {"thought_signature": "x"}}}
        found["a"]["google"].clear()
        assert await store.recall("me", ["a"]) == {"a": {"google": {"thought_signature": "x"}}}

    async def test_another_caller_sees_nothing(self) -> None:
        store = memory()
        store.remember("me", {"a": SIGNATURE})
        store.remember("you", {"b": THINKING})
        assert await store.recall("you", ["a"]) == {}
        assert await store.recall("me", ["b"]) == {}
        store.remember("you", {"a": THINKING})
        assert await store.recall("me", ["a"]) == {"a": SIGNATURE}

    async def test_the_last_word_counts(self) -> None:
        store = memory()
        store.remember("me", {"a": THINKING})
        store.remember("me", {"a": SIGNATURE})
        assert await store.recall("me", ["a"]) == {"a": SIGNATURE}
        assert len(store) == 1

    async def test_entries_are_bounded_and_the_least_used_goes_first(self) -> None:
        store = memory(max_entries=3)
        store.remember("me", {"a": 1, "b": 2, "c": 3})
        await store.recall("me", ["a"])
        store.remember("me", {"d": 4})
        assert await store.recall("me", ["a", "b", "c", "d"]) == {"a": 1, "c": 3, "d": 4}

    async def test_of_a_conversation_its_end_remains(self) -> None:
        store = memory(max_entries=4)
        for number in range(10):
            store.remember("me", {f"{number}a": 1, f"{number}b": 2})
            ids = [f"{n}{letter}" for n in range(number + 1) for letter in "ab"]
            assert list(await store.recall("me", ids)) == ids[-4:]

    async def test_bytes_are_bounded(self) -> None:
        large = "x" * 1000
        store = memory(max_bytes=3 * (1100 + ENTRY_BYTES))
        for number in range(50):
            store.remember("me", {str(number): large})
            assert store.bytes <= 3 * (1100 + ENTRY_BYTES)
        assert await store.recall("me", list(map(str, range(50)))) == {
            "47": large,
            "48": large,
            "49": large,
        }

    async def test_ids_count_as_bytes(self) -> None:
        store = memory(max_bytes=10_000)
        store.remember("me", {"i" * 9_600: 1})
        assert len(store) == 0
        store.remember("me", {"i" * 9_400: 1})
        assert len(store) == 1

    async def test_what_is_too_large_is_not_kept_and_pushes_nothing_out(self) -> None:
        store = memory(max_bytes=5_000)
        store.remember("me", {"a": SIGNATURE, "b": THINKING})
        store.remember("me", {"b": "x" * 10_000})
        # The old entry of the same call is wrong now.
        assert await store.recall("me", ["a", "b"]) == {"a": SIGNATURE}

    async def test_an_entry_is_gone_when_its_time_is_over_however_often_it_was_used(self) -> None:
        clock = Clock()
        store = memory(max_age=60, clock=clock)
        store.remember("me", {"a": 1})
        clock.now += 40
        store.remember("me", {"b": 2})
        assert await store.recall("me", ["a", "b"]) == {"a": 1, "b": 2}
        clock.now += 20
        assert await store.recall("me", ["a", "b"]) == {"b": 2}
        assert len(store) == 1
        clock.now += 40
        store.remember("you", {"c": 3})
        assert len(store) == 1

    async def test_an_entry_written_anew_begins_anew(self) -> None:
        clock = Clock()
        store = memory(max_age=60, clock=clock)
        store.remember("me", {"a": 1})
        store.remember("me", {"b": 1})
        clock.now += 40
        store.remember("me", {"a": 2})
        clock.now += 40
        assert await store.recall("me", ["a", "b"]) == {"a": 2}

    async def test_the_books_balance(self) -> None:
        clock = Clock()
        store = memory(max_entries=5, max_bytes=4_000, max_age=10, clock=clock)
        for number in range(300):
            store.remember("me", {str(number % 7): "x" * (number % 900)})
            await store.recall("me", [str(number % 5)])
            clock.now += number % 3
        clock.now += 100
        await store.recall("me", [])
        assert (len(store), store.bytes) == (0, 0)

    async def test_closing_forgets(self) -> None:
        store = memory()
        store.remember("me", {"a": 1})
        await store.aclose()
        assert (len(store), store.bytes) == (0, 0)


async def test_no_store_keeps_nothing() -> None:
    NO_REASONING_STORE.remember("me", {"a": 1})
    assert await NO_REASONING_STORE.recall("me", ["a"]) == {}
    await NO_REASONING_STORE.aclose()


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as process:
        yield process


@pytest.fixture
async def raw(server: RedisServer) -> AsyncIterator[Any]:
    """Redis as it is, empty at first."""
    client = cast("Any", Redis).from_url(server.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisReasoningStore]:
    made = RedisReasoningStore(server.url, max_age=100)
    yield made
    await made.aclose()


@pytest.fixture
async def replica(server: RedisServer) -> AsyncIterator[RedisReasoningStore]:
    made = RedisReasoningStore(server.url, max_age=100)
    yield made
    await made.aclose()


async def written(store: RedisReasoningStore) -> None:
    """Wait until nothing waits to be written."""

    async def nothing_waits() -> bool:
        return not store._waiting  # pyright: ignore[reportPrivateUsage]

    await eventually(nothing_waits, 10)


@pytest.mark.usefixtures("raw")
class TestRedis:
    async def test_another_process_recalls_what_was_remembered(
        self, store: RedisReasoningStore, replica: RedisReasoningStore
    ) -> None:
        store.remember("me", {"a": SIGNATURE, "b": THINKING})
        await written(store)
        assert await replica.recall("me", ["b", "x", "a"]) == {"a": SIGNATURE, "b": THINKING}
        assert (store.failures, replica.failures) == (0, 0)

    async def test_it_is_known_before_it_is_written(self, store: RedisReasoningStore) -> None:
        store.remember("me", {"a": THINKING})
        store.remember("me", {"a": SIGNATURE})
        # No step of the event loop between the two: nothing was sent.
        assert await store.recall("me", ["a"]) == {"a": SIGNATURE}
        assert await store.recall("you", ["a"]) == {}

    async def test_another_caller_sees_nothing(
        self, store: RedisReasoningStore, replica: RedisReasoningStore
    ) -> None:
        store.remember("me", {"a": SIGNATURE})
        store.remember("me:a", {"": THINKING, "b": THINKING})
        await written(store)
        for caller, id in (("you", "a"), ("", "me:a"), ("me", ""), ("me:a", "a"), ("me", "a:b")):
            assert await replica.recall(caller, [id]) == {}

    async def test_nothing_of_caller_and_id_stands_in_the_key_and_it_expires(
        self, store: RedisReasoningStore, raw: Any
    ) -> None:
        store.remember("my-name", {"call_1": SIGNATURE, "x" * 100_000: THINKING})
        await written(store)
        keys = await raw.keys("*")
        assert len(keys) == 2
        for key in keys:
            assert len(key) == len("ep:reasoning:1:") + 64
            assert b"my-name" not in key
            assert b"call_1" not in key
            assert 90_000 < await raw.pttl(key) <= 100_000

    async def test_an_expired_entry_is_gone(self, server: RedisServer, raw: Any) -> None:
        brief = RedisReasoningStore(server.url, max_age=0.001)
        brief.remember("me", {"a": SIGNATURE})
        await written(brief)

        async def expired() -> bool:
            return await raw.dbsize() == 0

        await eventually(expired, 10)
        assert await brief.recall("me", ["a"]) == {}
        await brief.aclose()

    async def test_many_writes_go_in_batches(
        self, store: RedisReasoningStore, replica: RedisReasoningStore
    ) -> None:
        ids = [f"call_{number}" for number in range(950)]
        for id in ids:
            store.remember("me", {id: id})
        await written(store)
        assert await replica.recall("me", ids) == {id: id for id in ids}
        assert store.failures == 0

    async def test_closing_writes_what_waits(
        self, server: RedisServer, replica: RedisReasoningStore
    ) -> None:
        closing = RedisReasoningStore(server.url, max_age=100)
        closing.remember("me", {"a": SIGNATURE})
        await closing.aclose()
        assert await replica.recall("me", ["a"]) == {"a": SIGNATURE}

    async def test_an_entry_under_another_key_is_not_believed(
        self, store: RedisReasoningStore, raw: Any
    ) -> None:
        store.remember("me", {"a": SIGNATURE})
        await written(store)
        (mine,) = await raw.keys("*")
        value = await raw.get(mine)
        store.remember("you", {"a": THINKING})
        await written(store)
        yours = next(key for key in await raw.keys("*") if key != mine)
        for wrong in (value, b"", b"{", b"[]", b"null", b'["x"]', b"\xff", b"1", b"{}"):
            await raw.set(yours, wrong)
            assert await store.recall("you", ["a"]) == {}
        assert store.failures == 9

    async def test_a_lookup_that_was_given_up_does_not_answer_the_next(
        self, store: RedisReasoningStore, raw: Any
    ) -> None:
        for caller in ("me", "you"):
            store.remember(caller, {"a": caller})
        await written(store)
        await raw.client_pause(1500)
        waiting = asyncio.create_task(store.recall("me", ["a"]))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await store.recall("me", ["a"]) == {}
        assert store.failures == 1
        await raw.ping()
        for _ in range(5):
            assert await store.recall("you", ["a"]) == {"a": "you"}
            assert await store.recall("me", ["a"]) == {"a": "me"}
        assert store.failures == 1

    async def test_many_lookups_at_once(self, store: RedisReasoningStore) -> None:
        store.remember("me", {"a": SIGNATURE})
        await written(store)
        found = await asyncio.gather(*(store.recall("me", ["a"]) for _ in range(100)))
        assert found == [{"a": SIGNATURE}] * 100
        assert store.failures == 0


def entries(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "execution_platform"]


class TestRedisIsDown:
    async def test_nothing_fails_and_the_log_says_so_once_a_minute(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        port, clock = closed_port(), Clock()
        url = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
        store = RedisReasoningStore(url, max_age=100, clock=clock)
        with caplog.at_level(logging.INFO):
            for _ in range(3):
                store.remember("me", {"call_1": "secret thoughts"})
                await written(store)
                assert await store.recall("me", ["call_1"]) == {}
            assert store.failures == 6
            assert len(entries(caplog)) == 1
            clock.now += 60
            assert await store.recall("me", ["call_1"]) == {}
            assert len(entries(caplog)) == 2
        assert "failures so far: 7" in entries(caplog)[1]
        for private in (PASSWORD, str(port), "127.0.0.1", "call_1", "secret", "me,"):
            assert private not in "".join(entries(caplog))
        await store.aclose()

    async def test_it_is_used_again_when_it_is_back(self) -> None:
        with RedisServer() as first:
            store = RedisReasoningStore(first.url, max_age=100)
            store.remember("me", {"a": 1})
            await written(store)
            assert await store.recall("me", ["a"]) == {"a": 1}
            first.stop()
            assert await store.recall("me", ["a"]) == {}
            with RedisServer(first.port):
                store.remember("me", {"b": 2})
                await written(store)
                assert await store.recall("me", ["a", "b"]) == {"b": 2}
                await store.aclose()

    async def test_a_wrong_password_fails_no_request(
        self, server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        url = server.url.replace(PASSWORD, "wrong-password")
        store = RedisReasoningStore(url, max_age=100)
        assert await store.recall("me", ["a"]) == {}
        assert "AuthenticationError" in entries(caplog)[0]
        assert "wrong-password" not in entries(caplog)[0]
        await store.aclose()


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """The address of a server that takes everything and says nothing."""
    held: list[asyncio.StreamWriter] = []

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        while await reader.read(65536):
            pass

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    server.close()
    for writer in held:
        writer.close()
    await server.wait_closed()


class TestRedisIsSilent:
    async def test_a_lookup_is_given_up(self, silent: str) -> None:
        store = RedisReasoningStore(silent, max_age=100)
        async with asyncio.timeout(10):
            # More of them than there are connections: waiting for one is bounded, too.
            found = await asyncio.gather(*(store.recall("me", ["a"]) for _ in range(50)))
        assert found == [{}] * 50
        assert store.failures == 50
        await store.aclose()

    async def test_what_waits_is_bounded_in_number_and_one_task_writes(
        self, silent: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(redis_entries, "MOST_WAITING", 20)
        monkeypatch.setattr(redis_entries, "WRITE_SECONDS", 0.1)
        store = RedisReasoningStore(silent, max_age=100)
        before = len(asyncio.all_tasks())
        for number in range(50):
            store.remember("me", {str(number): number})
        assert len(asyncio.all_tasks()) == before + 1
        assert store.failures == 30
        known = await store.recall("me", [str(number) for number in range(20)])
        assert known == {str(number): number for number in range(20)}
        async with asyncio.timeout(10):
            await store.aclose()

    async def test_and_in_bytes(self, silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(redis_entries, "MOST_WAITING_BYTES", 10_000)
        monkeypatch.setattr(redis_entries, "WRITE_SECONDS", 0.1)
        store = RedisReasoningStore(silent, max_age=100)
        for number in range(10):
            store.remember("me", {str(number): "x" * 3000})
        assert store.failures == 7
        # The same call anew takes the place that it had.
        store.remember("me", {"0": "y" * 3000})
        assert store.failures == 7
        async with asyncio.timeout(10):
            await store.aclose()


@asynccontextmanager
async def odd_server(reply: bytes) -> AsyncGenerator[tuple[str, list[int]]]:
    """A server that greets well and then answers everything with `reply`; counts connections."""
    connections: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                greetings = data.count(b"SETINFO")
                writer.write(b"+OK\r\n" * greetings if greetings else reply)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", connections
    finally:
        server.close()


ODD_REPLIES = [
    *(b"$abc\r\n", b"*x\r\n", b":x\r\n", b"x" * 200_000 + b"\r\n", b"*1\r\n" * 5000),
    *(b"HTTP/1.1 400 Bad\r\n\r\n", b"*0\r\n", b"$-1\r\n", b":5\r\n", b"*-1\r\n"),
    *(b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", b"-ERR no\r\n", b"$1\r\na\r\n", b"$-7\r\n"),
    *(b"+\xff\r\n", b"\r\n"),
]


class TestRedisIsNoRedis:
    @pytest.mark.parametrize("reply", ODD_REPLIES, ids=lambda reply: repr(reply[:12]))
    async def test_a_lookup_never_fails_and_is_counted(self, reply: bytes) -> None:
        async with odd_server(reply) as (url, connections):
            store = RedisReasoningStore(url, max_age=100)
            async with asyncio.timeout(10):
                for _ in range(2):
                    assert await store.recall("me", ["a"]) == {}
            assert store.failures == 2
            if not reply.startswith(b"-"):
                # What an odd reply has left on the way is not read as the next one.
                assert len(connections) == 2
            await store.aclose()

    @pytest.mark.parametrize("reply", ODD_REPLIES[:5], ids=lambda reply: repr(reply[:12]))
    async def test_the_writer_goes_on(self, reply: bytes) -> None:
        async with odd_server(reply) as (url, _):
            store = RedisReasoningStore(url, max_age=100)
            for number in range(redis_entries.BATCH + 1):
                store.remember("me", {str(number): SIGNATURE})
            writer = store._writer  # pyright: ignore[reportPrivateUsage]
            assert writer is not None
            await written(store)
            async with asyncio.timeout(10):
                await writer
            assert store.failures == 2
            await store.aclose()


class TestPauses:
    async def test_after_some_failures_nobody_waits(self, silent: str) -> None:
        clock = Clock()
        store = RedisReasoningStore(silent, max_age=100, clock=clock)
        asked = Counted(store)
        for _ in range(10):
            assert await store.recall("me", ["a"]) == {}
        assert (asked.times, store.failures) == (redis_entries.FAILED_LOOKUPS, 10)
        clock.now += redis_entries.PAUSE_SECONDS
        # One finds out; the others do not wait for it.
        await asyncio.gather(*(store.recall("me", ["a"]) for _ in range(10)))
        assert asked.times == redis_entries.FAILED_LOOKUPS + 1
        await store.recall("me", ["a"])
        assert asked.times == redis_entries.FAILED_LOOKUPS + 1
        await store.aclose()

    async def test_what_waits_to_be_written_is_found_meanwhile(self, silent: str) -> None:
        store = RedisReasoningStore(silent, max_age=100, clock=Clock())
        for _ in range(redis_entries.FAILED_LOOKUPS):
            await store.recall("me", ["a"])
        store.remember("me", {"b": SIGNATURE})
        assert await store.recall("me", ["a", "b"]) == {"b": SIGNATURE}
        writer = store._writer  # pyright: ignore[reportPrivateUsage]
        assert writer is not None
        writer.cancel()
        await store.aclose()

    async def test_one_that_succeeds_ends_it(self) -> None:
        clock = Clock()
        with RedisServer() as first:
            store = RedisReasoningStore(first.url, max_age=100, clock=clock)
            asked = Counted(store)
            first.stop()
            for _ in range(5):
                await store.recall("me", ["a"])
            with RedisServer(first.port):
                await store.recall("me", ["a"])
                assert asked.times == redis_entries.FAILED_LOOKUPS
                clock.now += redis_entries.PAUSE_SECONDS
                before = store.failures
                for _ in range(5):
                    await store.recall("me", ["a"])
                assert asked.times == redis_entries.FAILED_LOOKUPS + 5
                assert store.failures == before
                await store.aclose()

    async def test_failures_with_successes_between_them_are_no_reason(self) -> None:
        replies = [b"$abc\r\n", b"$abc\r\n", b"*1\r\n$-1\r\n"] * 3
        async with odd_server(b"") as (url, _):
            store = RedisReasoningStore(url, max_age=100, clock=Clock())
            asked = Counted(store, replies)
            for _ in range(9):
                await store.recall("me", ["a"])
            assert (asked.times, store.failures) == (9, 6)
            await store.aclose()


class Counted:
    """Counts the lookups that a store makes; plays their ends, where there are any."""

    def __init__(self, store: RedisReasoningStore, ends: Sequence[bytes] = ()) -> None:
        self.times = 0
        redis: Any = store._redis  # pyright: ignore[reportPrivateUsage]
        plain = redis.mget

        async def mget(keys: list[str]) -> Any:
            self.times += 1
            if not ends:
                return await plain(keys)
            if ends[self.times - 1].startswith(b"$"):
                raise ValueError("not a length")
            return [None] * len(keys)

        redis.mget = mget


def policy(text: str) -> Policy:
    return build(parse(text, "my.yaml"), capabilities=CapabilityTable(), read_prompt=str)


class TestConfiguration:
    def test_redis_is_named_by_a_variable_and_never_shown(self) -> None:
        settings = load_settings({"EP_REDIS_URL": "rediss://:top-secret@cache:6380/1"})
        assert settings.redis_url is not None
        assert settings.redis_url.get_secret_value() == "rediss://:top-secret@cache:6380/1"
        assert "top-secret" not in repr(settings) + str(settings)
        assert load_settings({}).redis_url is None

    @pytest.mark.parametrize(
        "value",
        ["localhost:6379", "http://:top-secret@x", "redis://", "unix://", "redis://x:0"]
        + ["redis://x:top-secret", "redis://[top-secret"],
    )
    def test_an_address_that_is_none_is_refused_and_not_repeated(self, value: str) -> None:
        with pytest.raises(ConfigurationError, match="EP_REDIS_URL: the value is not") as raised:
            load_settings({"EP_REDIS_URL": value})
        assert "redis://localhost:6379/0" in str(raised.value)
        assert "top-secret" not in str(raised.value)

    @pytest.mark.parametrize("options", ["?socket_timeout=soon", "?top-secret=1"])
    def test_wrong_options_stop_the_start(self, options: str) -> None:
        settings = load_settings({"EP_REDIS_URL": f"redis://:top-secret@cache/0{options}"})
        with pytest.raises(ConfigurationError, match="EP_REDIS_URL: the address") as raised:
            service.check_reasoning_store(settings)
        assert "top-secret" not in str(raised.value)

    @pytest.mark.parametrize(
        "url",
        ["redis://cache", "redis://me:pw@cache:1/2", "rediss://cache?ssl_cert_reqs=none"]
        + ["unix:///run/redis.sock?db=1"],
    )
    def test_right_addresses(self, url: str) -> None:
        check_url(url)
        service.check_reasoning_store(load_settings({"EP_REDIS_URL": url}))

    def test_a_missing_package_stops_the_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def nowhere(name: str) -> None:
            pass

        monkeypatch.setattr(service, "find_spec", nowhere)
        service.check_reasoning_store(Settings())
        with pytest.raises(ConfigurationError, match=r"pip install 'execution-platform\[redis\]'"):
            service.check_reasoning_store(load_settings({"EP_REDIS_URL": "redis://cache"}))

    def test_without_the_variable_the_package_is_not_imported(self) -> None:
        code = "import sys, proxy.app; print(json.dumps(sorted(sys.modules)))"
        listed = subprocess.run(
            [sys.executable, "-c", f"import json; {code}"],
            capture_output=True,
            text=True,
            check=True,
        )
        modules = json.loads(listed.stdout)
        assert "proxy.service" in modules
        assert "redis" not in modules
        assert "proxy.redis_entries" not in modules

    def test_the_policy_has_the_bounds(self) -> None:
        assert Policy().reasoning_store.enabled
        assert Policy().reasoning_store.max_age == 24 * 3600
        found = policy("reasoning_store: {max_age: 600, max_entries: 5, max_bytes: 2048}")
        bounds = found.reasoning_store
        assert (bounds.max_age, bounds.max_entries, bounds.max_bytes) == (600.0, 5, 2048)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("{max_entry: 5}", "unknown key `max_entry`. Did you mean `max_entries`?"),
            ("{url: 'redis://x'}", "unknown key `url`."),
            ("{max_age: 0}", "max_age"),
            ("{max_entries: 0}", "max_entries"),
            ("{max_bytes: 1.5}", "max_bytes"),
            ("{enabled: 1}", "enabled"),
        ],
    )
    def test_a_wrong_policy(self, text: str, said: str) -> None:
        with pytest.raises(PolicyError) as raised:
            policy(f"reasoning_store: {text}")
        assert said in str(raised.value)
        assert "my.yaml:1" in str(raised.value)

    async def test_a_service_closes_its_store(self) -> None:
        configuration = service.Configuration(Settings(), Policy(), {})
        async with service.open_service(configuration) as opened:
            store = opened.generation.engine.reasoning
            assert isinstance(store, MemoryReasoningStore)
            assert opened.generation.engine.preparation.reasoning is store
            store.remember("me", {"a": 1})
        assert len(store) == 0

    async def test_each_configuration_has_its_store(self) -> None:
        made = reasoning_store(Settings(), policy("reasoning_store: {max_entries: 1}"))
        made.remember("me", {"a": 1, "b": 2})
        assert await made.recall("me", ["a", "b"]) == {"b": 2}
        none = reasoning_store(Settings(), policy("reasoning_store: {enabled: false}"))
        assert none is NO_REASONING_STORE
        redis = reasoning_store(load_settings({"EP_REDIS_URL": "redis://x"}), Policy())
        assert isinstance(redis, RedisReasoningStore)
        await redis.aclose()
