"""A Prometheus of the tests' own: Debian's, on loopback, on a free port, with an empty store."""

import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from tests.providers import closed_port

__all__ = ["PrometheusServer", "prometheus_missing"]

_START_SECONDS = 30.0
_SCRAPE = "1s"


def prometheus_missing() -> str | None:
    """Return what to do where there is no Prometheus on this machine; None where there is."""
    if shutil.which("prometheus") is not None and shutil.which("promtool") is not None:
        return None
    return "there is no prometheus here: `make test` installs it as root, or apt-get does"


class PrometheusServer:
    """Scrapes as long as the block lasts, once a second.

    Args:
        target: What is scraped: its address as `http://host:port`.
        key: What it demands.
    """

    def __init__(self, target: str, key: str | None = None) -> None:
        if (missing := prometheus_missing()) is not None:
            pytest.skip(missing)
        self.url = f"http://127.0.0.1:{closed_port()}"
        self._folder = tempfile.TemporaryDirectory(prefix="ep-prometheus-")
        folder = Path(self._folder.name)
        job: dict[str, Any] = {
            "job_name": "execution-platform",
            "static_configs": [{"targets": [target.removeprefix("http://")]}],
        }
        if key is not None:
            job["authorization"] = {"credentials": key}
        every = {"scrape_interval": _SCRAPE, "scrape_timeout": _SCRAPE}
        config = folder / "prometheus.yml"
        # JSON is YAML as well.
        config.write_text(json.dumps({"global": every, "scrape_configs": [job]}))
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self._client = httpx.Client(base_url=self.url, trust_env=False, timeout=10)
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            said = Path(self._log.name).read_text(errors="replace")
            assert self._process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def query(self, promql: str) -> dict[tuple[str, ...], float]:
        """Return the value of each series, by the values of its labels in the labels' order."""
        answer = self._client.get("/api/v1/query", params={"query": promql}).json()
        assert answer["status"] == "success", answer
        return {
            tuple(value for _, value in sorted(row["metric"].items())): float(row["value"][1])
            for row in answer["data"]["result"]
        }

    def _target(self) -> dict[str, Any]:
        (target,) = self._client.get("/api/v1/targets").json()["data"]["activeTargets"]
        return target

    def _scraped(self) -> str | None:
        """Return when the last scrape was, if the target answered it."""
        target = self._target()
        return target["lastScrape"] if target["health"] == "up" else None

    def wait_for(
        self, promql: str, expected: dict[tuple[str, ...], float], seconds: float = 60.0
    ) -> None:
        """Wait until a query returns this, and see that it still does two scrapes later."""
        deadline = time.monotonic() + seconds
        while (found := self.query(promql)) != expected:
            assert time.monotonic() < deadline, (found, self._target())
            time.sleep(0.1)
        seen: set[str] = set()
        while len(seen) < 3:
            assert time.monotonic() < deadline, self._target()
            if (scraped := self._scraped()) is not None:
                seen.add(scraped)
            time.sleep(0.1)
        assert self.query(promql) == expected

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)
        self._client.close()
        self._log.close()
        self._folder.cleanup()
