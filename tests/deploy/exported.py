"""What a real server exports on `GET /metrics`, after requests of every kind that fit here."""

import json
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.providers import closed_port
from tests.serving import Proxy, wait_until

__all__ = ["Labels", "exported_metrics"]

Labels = Mapping[str, frozenset[str]]
"""Labels of a series, each with the values it was seen with."""

METRICS_KEY = "metrics-key-41d0"

POLICY: Mapping[str, Any] = {
    "providers": {
        "claude_agent": {"enabled": False},
        "anthropic": {"model": "m", "prices": {"m": {"input": 3, "output": 15}}},
    },
    "live_gates": {},
    "personas": {
        "writer": {
            "requires": ["system_prompts"],
            "system_prompt": "Write.",
            "provider_preferences": ["claude_agent", "anthropic", "openai"],
            "cache": {"ttl": 60},
        }
    },
}


def exported_metrics() -> dict[str, Labels]:
    """Return the series that a server exports, each with the labels it was seen with.

    Names are those that a query may use: of a histogram `…_bucket`, `…_sum` and `…_count`. A series
    that is declared, but had nothing to count here, has no labels.
    """
    environment = {
        "EP_METRICS_KEY": METRICS_KEY,
        # Nobody is there: exports fail, and spans are lost.
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{closed_port()}",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    with Proxy("--sandbox", env=environment, policy=POLICY) as server:
        _ask(server, "Say hello")
        _ask(server, "Say hello")
        _ask(server, "All fail [sandbox fail=500]")
        _ask(server, "Count to twenty, slowly", stream=True)
        _ask(server, "Say it with a seed, and two ways", seed=1, n=2)
        found: dict[str, Labels] = {}

        def counted() -> bool:
            found.clear()
            found.update(_names(_scrape(server)))
            return bool(found.get("ep_request_duration_seconds_count"))

        wait_until(counted, 10)
        return found


def _ask(server: Proxy, text: str, **more: Any) -> None:
    body = {"model": "writer", "messages": [{"role": "user", "content": text}], **more}
    asked = urllib.request.Request(
        f"{server.url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            answer.read()
    except urllib.error.HTTPError as refused:
        refused.close()


def _scrape(server: Proxy) -> str:
    headers = {"authorization": f"Bearer {METRICS_KEY}"}
    asked = urllib.request.Request(f"{server.url}/metrics", headers=headers)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return answer.read().decode()


_SERIES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "info": ("_info",),
}


def _names(text: str) -> dict[str, Labels]:
    seen: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for family in text_string_to_metric_families(text):
        for ending in _SERIES.get(family.type, ("",)):
            _ = seen[family.name + ending]
        for sample in family.samples:
            for label, value in sample.labels.items():
                seen[sample.name][label].add(value)
    return {
        name: {label: frozenset(values) for label, values in labels.items()}
        for name, labels in seen.items()
    }
