"""kill -9 under submissions: what was acknowledged is there, the rest absent or whole."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.quality.suites import result, suite, suites_url
from tests.serving import Proxy, QualityServer

CONCURRENT = 50

Start = Callable[[Path], AbstractContextManager[QualityServer | Proxy]]


def alone(database: Path) -> QualityServer:
    return QualityServer(database)


def within_the_proxy(database: Path) -> Proxy:
    return Proxy("--sandbox", env={"EP_QUALITY": "1", "EP_QUALITY_DB": str(database)})


def large(client: int, number: int) -> dict[str, Any]:
    """Return a suite of many pages, so that a half-written one would be possible."""
    results = [result(name=f"test_{i}", milliseconds=i) for i in range(200)]
    return suite(f"suite-{client}-{number}", *results)


class Submitters:
    """Clients that submit until the server is gone."""

    def __init__(self, url: str) -> None:
        self._url = suites_url(url)
        self.sent: dict[str, dict[str, Any]] = {}
        self.acknowledged: set[str] = set()
        self.enough = asyncio.Event()

    async def submit(self, client: int, kill_after: int) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            for number in range(1000):
                body = large(client, number)
                self.sent[body["id"]] = body
                try:
                    answer = await http.post(self._url, json=body)
                except httpx.TransportError:
                    return
                assert answer.status_code == 201, answer.text
                self.acknowledged.add(body["id"])
                if len(self.acknowledged) >= kill_after:
                    self.enough.set()


async def _killed(start: Start, database: Path, kill_after: int) -> Submitters:
    with start(database) as server:
        submitters = Submitters(server.url)
        async with asyncio.TaskGroup() as group:
            for client in range(CONCURRENT):
                group.create_task(submitters.submit(client, kill_after))
            await asyncio.wait_for(submitters.enough.wait(), 60)
            server.send(signal.SIGKILL)
            server.wait()
    return submitters


@pytest.mark.parametrize(
    ("start", "kill_after"),
    [(alone, 1), (alone, 60), (alone, 120), (within_the_proxy, 60)],
)
async def test_every_acknowledged_suite_survives(start: Start, kill_after: int, tmp_path: Path):
    database = tmp_path / "quality.db"
    submitters = await _killed(start, database, kill_after)
    in_flight = submitters.sent.keys() - submitters.acknowledged
    assert len(submitters.acknowledged) >= kill_after
    assert in_flight, "the server was killed while nobody asked: the test shows nothing"
    there = 0
    with start(database) as server:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            for suite_id, body in submitters.sent.items():
                answer = await http.get(f"{suites_url(server.url)}/{suite_id}")
                if answer.status_code == 404:
                    assert suite_id in in_flight, f"{suite_id} was acknowledged, and is lost"
                    continue
                assert answer.status_code == 200, answer.text
                assert answer.json()["suite"] == {**body, "project": "shop"}
                there += 1
            (project,) = (await http.get(f"{server.url}/quality/projects")).json()["projects"]
            assert project["suites"] == there
            # Who got no answer submits the same again, and it is there once.
            for suite_id in in_flight:
                answer = await http.post(suites_url(server.url), json=submitters.sent[suite_id])
                assert answer.status_code in (200, 201)
            (project,) = (await http.get(f"{server.url}/quality/projects")).json()["projects"]
            assert project["suites"] == len(submitters.sent)
