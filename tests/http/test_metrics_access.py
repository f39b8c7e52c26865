"""Who may see `/metrics`, in which form, and what hostile clients make of it."""

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import OpenAI
from prometheus_client.openmetrics import parser

from proxy.telemetry.metrics.instruments import INSTRUMENTS, prometheus_name
from tests.http.test_metrics import metrics_policy
from tests.http.wire import CHAT, assert_error, new_client, unique
from tests.prometheus_server import prometheus_missing
from tests.providers import UPSTREAM_KEY
from tests.scrape import page, samples
from tests.serving import Proxy, SandboxProcess, run_to_end

CLIENT, SCRAPER = "client-key-4d11", "scraper-key-8f20"


def serving(providers: SandboxProcess, **env: str) -> Proxy:
    return Proxy(env={"UPSTREAM_KEY": UPSTREAM_KEY, **env}, policy=metrics_policy(providers))


@pytest.fixture(scope="module")
def keyed(providers: SandboxProcess) -> Iterator[Proxy]:
    env = {"EP_CLIENT_KEYS": CLIENT, "EP_METRICS_KEY": SCRAPER}
    with serving(providers, **env) as server:
        yield server
        for key in (CLIENT, SCRAPER):
            assert key not in server.log()


@pytest.fixture(scope="module")
def bare(providers: SandboxProcess) -> Iterator[Proxy]:
    """A server without any keys."""
    with serving(providers) as server:
        yield server


WRONG = ["", "Bearer", f"Bearer {CLIENT}", f"Bearer {SCRAPER}x", f"Basic {SCRAPER}", "Bearer \xe9"]


@pytest.mark.parametrize("given", WRONG)
async def test_only_its_own_key_opens_it(keyed: Proxy, given: str) -> None:
    async with new_client(keyed) as client:
        headers = {b"authorization": given.encode("latin-1")}
        answer = await client.get("/metrics", headers=headers)
    error = assert_error(answer, 401, code="invalid_api_key")
    assert "EP_METRICS_KEY" in error["message"]
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "ep_" not in answer.text


async def test_its_key_opens_it_and_nothing_else(keyed: Proxy) -> None:
    assert "ep_build_info" in page(keyed, SCRAPER)
    async with new_client(keyed) as client:
        headers = {"authorization": f"Bearer {SCRAPER}"}
        assert (await client.get("/v1/models", headers=headers)).status_code == 401


async def test_with_client_keys_alone_nobody_sees_it(providers: SandboxProcess) -> None:
    with serving(providers, EP_CLIENT_KEYS=CLIENT) as server:
        async with new_client(server) as client:
            for headers in ({}, {"authorization": f"Bearer {CLIENT}"}):
                answer = await client.get("/metrics", headers=headers)
                error = assert_error(answer, 401)
                assert "EP_METRICS_KEY" in error["message"]
                assert "EP_METRICS_OPEN=1" in error["message"]


async def test_it_may_be_open_to_anybody(providers: SandboxProcess) -> None:
    with serving(providers, EP_CLIENT_KEYS=CLIENT, EP_METRICS_OPEN="1") as server:
        assert "ep_build_info" in page(server)


async def test_it_may_be_off(providers: SandboxProcess) -> None:
    with serving(providers, EP_METRICS="0") as server:
        async with new_client(server) as client:
            assert_error(await client.get("/metrics"), 404)
            body = {"model": "openai_only", "messages": [{"role": "user", "content": "Hi"}]}
            assert (await client.post(CHAT, json=body)).status_code == 200


def test_both_ways_at_once_are_a_mistake() -> None:
    env = {"EP_METRICS_KEY": SCRAPER, "EP_METRICS_OPEN": "1"}
    done = run_to_end("serve", "--sandbox", "--port", "0", env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "EP_METRICS_OPEN" in done.stderr
    assert "unset one" in done.stderr
    assert SCRAPER not in done.stderr


def test_a_key_that_cannot_be_sent_stops_the_start_and_is_not_repeated() -> None:
    done = run_to_end("serve", "--sandbox", "--port", "0", env={"EP_METRICS_KEY": "two words"})
    assert (done.returncode, done.stdout) == (1, "")
    assert "EP_METRICS_KEY" in done.stderr
    assert "two words" not in done.stderr


async def test_it_has_two_forms(bare: Proxy) -> None:
    async with new_client(bare) as client:
        plain = await client.get("/metrics")
        wanted = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
        other = await client.get("/metrics", headers={"accept": wanted})
        strange = {"accept": "application/openmetrics-text;version=x"}
        odd = await client.get("/metrics", headers=strange)
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert plain.headers["cache-control"] == "no-store"
    assert other.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0;")
    assert odd.status_code == 200
    # It has no types.
    read: Any = parser
    named = {family.name for family in read.text_string_to_metric_families(other.text)}
    assert "http_server_request_duration_seconds" in named
    assert other.text.endswith("# EOF\n")


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE", "OPTIONS", "PROPFIND"])
async def test_no_method_harms_it(bare: Proxy, method: str) -> None:
    async with new_client(bare) as client:
        answer = await client.request(method, "/metrics")
        assert answer.status_code == (200 if method == "HEAD" else 405)
        assert method != "HEAD" or answer.content == b""
        # The connection is as it was.
        assert (await client.get("/healthz")).status_code == 200


@pytest.mark.skipif(prometheus_missing() is not None, reason=str(prometheus_missing()))
def test_promtool_finds_nothing_wrong_with_it(bare: Proxy) -> None:
    with OpenAI(base_url=f"{bare.url}/v1", api_key="any", max_retries=0) as sdk:
        for persona in ("openai_only", "anthropic_first", "kept"):
            sdk.chat.completions.create(
                model=persona, messages=[{"role": "user", "content": "Hi"}], seed=3
            )
    text = page(bare)
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    named = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    assert named <= {prometheus_name(row) for row in INSTRUMENTS.values()}


METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PROPFIND", "MKCOL"]


async def test_hostile_requests_do_not_make_series(providers: SandboxProcess) -> None:
    async def assail(client: httpx.AsyncClient, number: int) -> None:
        odd = f"x{unique()}"
        said = [{"role": "user", "content": odd}]
        await client.post(CHAT, json={"model": odd, "messages": said})
        await client.post(CHAT, json={"model": f"openai/{odd}", "messages": said, odd: 1})
        await client.post(CHAT, json={"model": f"{odd}/{odd}", "messages": said})
        ignored = {"model": "anthropic_only", "messages": said, "seed": number}
        await client.post(CHAT, json={**ignored, odd: 1, f"{odd}.{odd}": [1]})
        await client.request(METHODS[number % len(METHODS)], f"/{odd}")
        await client.post(f"/v1/models/{odd}", headers={"x-request-id": odd, odd: odd})
        await client.get(f"/v1/models/{odd}/{odd}?{odd}")

    with serving(providers) as server:
        async with new_client(server) as client:
            for number in range(len(METHODS)):
                await assail(client, number)
            # The first look is seen by the second.
            page(server)
            before = set(samples(page(server)))
            for number in range(40):
                await assail(client, number)
            after = set(samples(page(server)))
    assert after == before
    assert len(after) < 500
