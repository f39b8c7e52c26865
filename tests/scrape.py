"""What `/metrics` says, for tests that count."""

import time
from collections.abc import Mapping
from typing import Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.serving import Proxy

__all__ = ["Counted", "page", "sample", "samples"]

_SECONDS = 10.0


def page(proxy: Proxy, key: str | None = None) -> str:
    """Return the page as it is."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    answer = httpx.get(f"{proxy.url}/metrics", headers=headers, trust_env=False, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.text


def sample(name: str, **labels: object) -> str:
    """Return how `samples` writes a series; empty labels are none."""
    said = ",".join(f"{key}={value}" for key, value in sorted(labels.items()) if value != "")
    return f"{name}{{{said}}}"


def samples(text: str) -> dict[str, float]:
    """Return every series of a page."""
    return {
        sample(found.name, **found.labels): found.value
        for family in text_string_to_metric_families(text)
        for found in family.samples
    }


class Counted:
    """Counts what is new behind a block: all counters and numbers of observations.

    Args:
        proxy: That is asked within the block, by nobody else.
        requests: How many of them end, which may be a moment after their answers.
        key: For the page.
    """

    def __init__(self, proxy: Proxy, requests: int = 1, key: str | None = None) -> None:
        self._proxy, self._requests, self._key = proxy, requests, key
        self.new: Mapping[str, float] = {}

    def _counts(self) -> dict[str, float]:
        found = samples(page(self._proxy, self._key))
        # Of whoever looks it is not told.
        return {
            name: value
            for name, value in found.items()
            if name.partition("{")[0].endswith(("_count", "_total"))
            and not ("http_request_method=GET" in name and "_server_" in name)
        }

    def __enter__(self) -> Self:
        self._before = self._counts()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        deadline = time.monotonic() + _SECONDS
        while not self._over(self._counts()):
            assert time.monotonic() < deadline, f"not {self._requests} requests are over"
            time.sleep(0.01)
        after = self._counts()
        news = {name: round(after[name] - self._before.get(name, 0), 12) for name in after}
        self.new = {name: value for name, value in news.items() if value}

    def _over(self, now: Mapping[str, float]) -> bool:
        return _http(now) - _http(self._before) >= self._requests


def _http(counts: Mapping[str, float]) -> float:
    return sum(v for name, v in counts.items() if name.startswith("http_server_request_duration"))
