"""The service's thread: the event loop stays free, and what waits for the disk is bounded."""

import asyncio
import threading
from pathlib import Path

import pytest

from proxy.config import load_settings
from proxy.quality.errors import QualityStoreBusy
from proxy.quality.fabric import Fabric
from proxy.quality.service import open_quality
from proxy.service import Configuration, load_configuration


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    settings = load_settings({"EP_QUALITY_DB": str(tmp_path / "q.db")})
    return Configuration(settings, load_configuration().policy, {})


async def test_a_slow_disk_does_not_hold_the_event_loop(configuration: Configuration):
    slow = threading.Event()

    def wait(_fabric: Fabric) -> str:
        assert slow.wait(30)
        return threading.current_thread().name

    async with open_quality(configuration) as service:
        waiting = asyncio.create_task(service.do(wait))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        slow.set()
        assert (await waiting).startswith("quality")


async def test_more_than_can_wait_are_told_to_come_back(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("proxy.quality.service.MAX_WAITING", 2)
    slow = threading.Event()
    async with open_quality(configuration) as service:
        waiting = [asyncio.create_task(service.do(lambda _: slow.wait(30))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(QualityStoreBusy) as caught:
            await service.do(lambda fabric: fabric.projects())
        assert (caught.value.status_hint, caught.value.retry_after) == (503, 1.0)
        slow.set()
        await asyncio.gather(*waiting)
        # What was waited for makes room.
        assert (await service.do(lambda fabric: fabric.projects())).projects == ()
