"""A real Prometheus, a server of two processes, the real OpenAI SDK: the counts are right."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI
from prometheus_client.mmap_dict import MmapedDict

from tests.http.test_metrics import metrics_policy
from tests.http.wire import Connection, body_of, head
from tests.prometheus_server import PrometheusServer
from tests.providers import UPSTREAM_KEY
from tests.scrape import page, sample, samples
from tests.serving import START_SECONDS, Proxy, SandboxProcess, wait_until

SCRAPER = "scraper-key-77e1"
CLIENT = "client-key-0c9a"
ENV = {"UPSTREAM_KEY": UPSTREAM_KEY, "EP_CLIENT_KEYS": CLIENT, "EP_METRICS_KEY": SCRAPER}
ENV["EP_DRAIN_TIMEOUT"] = "2"
FALLBACK = "[sandbox provider=anthropic fail=529]"


def workers_of(pid: int) -> set[int]:
    """Return the server processes below the first one."""
    found: set[int] = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            rest = stat.read_text().rpartition(")")[2].split()
            command = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(rest[1]) == pid and rest[0] != "Z" and b"spawn_main" in command:
            found.add(int(stat.parent.name))
    return found


@pytest.fixture
def two(providers: SandboxProcess) -> Iterator[Proxy]:
    with Proxy("--workers", "2", env=ENV, policy=metrics_policy(providers)) as server:
        try:
            wait_until(lambda: in_flight(server) == 0 and _seen(server) == 2, START_SECONDS)
            yield server
        finally:
            # The first process ends the others, if it is let.
            server.stop()


def _seen(server: Proxy) -> int:
    """Return how many processes have metrics."""
    (folder,) = _folders(server)
    return len(list(folder.glob("gauge_livesum_*.db")))


def _folders(server: Proxy) -> list[Path]:
    environ = {
        entry.partition(b"=")[2].decode()
        for pid in workers_of(server.pid)
        for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if entry.startswith(b"EXECUTION_PLATFORM_WORKERS=")
    }
    return [Path(folder) / "metrics" for folder in environ]


def ask(server: Proxy, persona: str, text: str = "Hi", *, stream: bool = False) -> None:
    """Ask with a connection of its own: whichever process is free takes it."""
    with OpenAI(base_url=f"{server.url}/v1", api_key=CLIENT, max_retries=0) as sdk:
        completions: Any = sdk.chat.completions
        answer = completions.create(
            model=persona, messages=[{"role": "user", "content": text}], stream=stream
        )
        assert not stream or list(answer)


ROUTE = 'http_route="/v1/chat/completions"'
SERVED = (
    f"sum by (http_response_status_code) (http_server_request_duration_seconds_count{{{ROUTE}}})"
)
ATTEMPTS = (
    "sum by (ep_attempt_reason, ep_upstream_name) (gen_ai_client_operation_duration_seconds_count)"
)


@pytest.mark.timeout(400)
def test_prometheus_counts_what_two_processes_serve_and_loses_nothing_with_one(two: Proxy) -> None:
    with PrometheusServer(two.url, SCRAPER) as prometheus:
        for number in range(20):
            ask(two, "openai_only", stream=number % 2 == 0)
        for _ in range(5):
            ask(two, "anthropic_first", FALLBACK)
        attempts = {("initial", "openai"): 20.0, ("initial", "anthropic"): 5.0}
        attempts[("fallback", "openai")] = 5.0
        prometheus.wait_for(SERVED, {("200",): 25})
        prometheus.wait_for(ATTEMPTS, attempts)
        prometheus.wait_for("sum(ep_fallbacks_total)", {(): 5})
        first_chunks = "sum(gen_ai_client_operation_time_to_first_chunk_seconds_count)"
        prometheus.wait_for(first_chunks, {(): 10})
        prometheus.wait_for("count by (ep_key) (ep_tokens_total > 0) > bool 0", {("key 1",): 1})
        quantile = "histogram_quantile(0.9, sum by (le) (ep_request_duration_seconds_bucket)) > 0"
        assert len(prometheus.query(quantile)) == 1

        both = workers_of(two.pid)
        os.kill(both.pop(), signal.SIGKILL)
        wait_until(lambda: len(workers_of(two.pid) - both) == 1, START_SECONDS)
        # What was counted is not lost with the process that counted it, and both go on.
        for _ in range(10):
            ask(two, "openai_only")
        prometheus.wait_for(SERVED, {("200",): 35})
        prometheus.wait_for(ATTEMPTS, {**attempts, ("initial", "openai"): 30.0})
        prometheus.wait_for("sum(ep_requests_in_flight)", {(): 0})
        prometheus.wait_for("count(ep_build_info == 1)", {(): 1})


async def test_what_a_process_was_doing_ends_with_it(two: Proxy) -> None:
    body = json.dumps(body_of("openai_only", "[sandbox stall=6 words=40]", stream=True)).encode()
    headers = {"authorization": f"Bearer {CLIENT}"}
    opened = [await Connection.open(two) for _ in range(6)]
    for connection in opened:
        await connection.send(head(length=len(body), headers=headers) + body)
    for connection in opened:
        await connection.until(b"the proxy", 20)
    assert in_flight(two) == 6
    (folder,) = _folders(two)
    has = {pid: _told_by(folder, pid) for pid in workers_of(two.pid)}
    victim = max(has, key=lambda pid: has[pid])
    os.kill(victim, signal.SIGKILL)
    # Those of the other process are under way still, and nobody else's are.
    wait_until(lambda: in_flight(two) == 6 - has[victim], START_SECONDS)
    assert list(folder.glob(f"gauge_*_{victim}.db")) == []
    for connection in opened:
        await connection.close()
    wait_until(lambda: in_flight(two) == 0, START_SECONDS)


def in_flight(server: Proxy) -> float:
    try:
        return samples(page(server, SCRAPER))[sample("ep_requests_in_flight")]
    except httpx.TransportError:
        # Asked of the process that was killed.
        return -1


def _told_by(folder: Path, pid: int) -> float:
    """Return how many requests are under way in one process, by its own file."""
    file = str(folder / f"gauge_livesum_{pid}.db")
    read: Any = MmapedDict
    found: dict[str, float] = {
        key: value for key, value, *_ in read.read_all_values_from_file(file)
    }
    (value,) = (value for key, value in found.items() if "ep_requests_in_flight" in key)
    return value
