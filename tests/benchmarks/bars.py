"""What the figures are held against: the first bars and the goals, as data."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from tests.benchmarks.measure import Row, Rows

Verdict = Literal["goal", "bar", "no"]


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
        what: The figure.
        unit: `×` for ratios.
        first: The first bar.
        goal: What comes after it.
        measured: Takes it from the rows; None: something that it needs was not measured.
        needs: Which parts, and which peers, it takes.
        at_least: Whether more is better.
    """

    what: str
    unit: str
    first: float
    goal: float
    measured: Callable[[Rows], float | None]
    needs: str
    at_least: bool = False

    def verdict(self, value: float) -> Verdict:
        """Return what a figure reaches."""
        sign = 1 if self.at_least else -1
        if sign * value >= sign * self.goal:
            return "goal"
        return "bar" if sign * value >= sign * self.first else "no"


def figure(rows: Rows, *path: str, **fields: Any) -> float | None:
    """Return a figure of the row that has these fields; None: there is none, or it is faulty."""
    for row in rows:
        if all(row.get(name) == value for name, value in fields.items()) and "fault" not in row:
            value: Any = row
            for key in path:
                value = value.get(key) if value is not None else None
            return value
    return None


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def _row(part: str, system: str, api: str | None = None, **fields: Any) -> Row:
    return {"part": part, "system": system} | ({"api": api} if api else {}) | fields


def _cpu(rows: Rows, system: str, api: str, connections: int = 64) -> float | None:
    """CPU of a small whole answer."""
    fields = _row("requests", system, api, size="small", connections=connections)
    return figure(rows, "cpu_us", **fields)


def _stream(rows: Rows, system: str, api: str, kind: str, *path: str) -> float | None:
    return figure(rows, *path, **_row("streams", system, api, kind=kind))


def _traced(rows: Rows, kind: str, what: str, share: str = "100%") -> float | None:
    on = figure(rows, what, **_row("tracing", f"ours, {share} traced", kind=kind))
    return _ratio(on, figure(rows, what, **_row("tracing", "ours", kind=kind)))


def _spread(rows: Rows) -> float | None:
    """The dearest number of connections against the cheapest, of those measured."""
    fields = {"part": "requests", "system": "ours", "api": "anthropic", "size": "small"}
    found: list[float] = [
        row["cpu_us"]
        for row in rows
        if all(row.get(name) == value for name, value in fields.items()) and row.get("cpu_us")
    ]
    return max(found) / min(found) if len(found) > 1 else None


def _rate(rows: Rows, quantile: str) -> float | None:
    fields = _row("rate", "ours", "anthropic", rate=1000)
    return figure(rows, "added_ms", quantile, **fields)


BARS: Final = (
    Bar(
        "LiteLLM's CPU per request in ours: persona → Anthropic, whole, 64 connections, no tracing",
        "×",
        25,
        80,
        lambda r: _ratio(_cpu(r, "LiteLLM", "anthropic"), _cpu(r, "ours", "anthropic")),
        "requests, LiteLLM",
        at_least=True,
    ),
    Bar(
        "our CPU for that in nginx's per relayed request",
        "×",
        25,
        8,
        lambda r: _ratio(_cpu(r, "ours", "anthropic"), _cpu(r, "nginx", "anthropic")),
        "requests, nginx",
    ),
    Bar(
        "the same with 100 % traced, in ours without tracing",
        "×",
        1.5,
        1.15,
        lambda r: _traced(r, "whole", "cpu_us"),
        "tracing",
    ),
    Bar(
        "translated (Anthropic) in our own passthrough (OpenAI), CPU per request",
        "×",
        1.4,
        1.15,
        lambda r: _ratio(_cpu(r, "ours", "anthropic"), _cpu(r, "ours", "openai")),
        "requests",
    ),
    Bar(
        "translated (Gemini) in our own passthrough (OpenAI), CPU per request",
        "×",
        1.4,
        1.15,
        lambda r: _ratio(_cpu(r, "ours", "gemini"), _cpu(r, "ours", "openai")),
        "requests",
    ),
    Bar(
        "steady stream from Anthropic: our CPU per chunk in nginx's per relayed chunk",
        "×",
        4,
        2.5,
        lambda r: _ratio(
            _stream(r, "ours", "anthropic", "steady", "cpu_us_chunk"),
            _stream(r, "nginx", "anthropic", "steady", "cpu_us_chunk"),
        ),
        "streams, nginx",
    ),
    Bar(
        "flood from Anthropic: our chunks per CPU-second in LiteLLM's",
        "×",
        25,
        43,
        lambda r: _ratio(
            _stream(r, "ours", "anthropic", "flood", "chunks_per_cpu_second"),
            _stream(r, "LiteLLM", "anthropic", "flood", "chunks_per_cpu_second"),
        ),
        "streams, LiteLLM",
        at_least=True,
    ),
    Bar(
        "added p50 at 1,000 requests/s, open loop",
        "ms",
        0.9,
        0.5,
        lambda r: _rate(r, "p50"),
        "rate",
    ),
    Bar(
        "added p99 at 1,000 requests/s, open loop", "ms", 4, 1.5, lambda r: _rate(r, "p99"), "rate"
    ),
    Bar(
        "added time to the first token, p50, steady streams from Anthropic",
        "ms",
        2,
        0.8,
        lambda r: _stream(r, "ours", "anthropic", "steady", "first_added_ms", "p50"),
        "streams",
    ),
    Bar(
        "memory with 1,000 open streams",
        "MB",
        110,
        70,
        lambda r: figure(r, "plateau_mb", **_row("memory", "ours", streams=1000)),
        "memory",
    ),
    Bar(
        "idle memory",
        "MB",
        70,
        45,
        lambda r: figure(r, "idle_mb", **_row("start", "ours")),
        "start",
    ),
    Bar(
        "start to the end of the first answer",
        "s",
        1.0,
        0.4,
        lambda r: figure(r, "ready_seconds", **_row("start", "ours")),
        "start",
    ),
    Bar(
        "CPU per request, the dearest of 1 to 256 connections in the cheapest",
        "×",
        1.5,
        1.2,
        _spread,
        "requests",
    ),
    Bar(
        "growth of memory from the middle third of the soak to the last",
        "%",
        2,
        0.5,
        lambda r: figure(r, "growth_percent", **_row("soak", "ours")),
        "soak",
    ),
)


def judged(rows: Rows, bars: Iterable[Bar] = BARS) -> Rows:
    """Return, for each bar, what was measured and whether it is met (None: not measured)."""
    found: Rows = []
    for bar in bars:
        value = bar.measured(rows)
        found.append(
            {
                "what": bar.what,
                "unit": bar.unit,
                "measured": value,
                "bar": bar.first,
                "goal": bar.goal,
                "at_least": bar.at_least,
                "met": None if value is None else bar.verdict(value),
                "needs": bar.needs,
            }
        )
    return found
