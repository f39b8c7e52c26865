"""The results as tables: for a terminal, and as a section of a Markdown page."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.measure import Row, Rows
from tests.benchmarks.work import NAMES

BEGIN: Final = "<!-- results: written by `make bench BENCH_ARGS=--readme`, not by hand -->"
END: Final = "<!-- end of the results -->"

Table = tuple[str, list[str], list[list[str]]]
"""A title, the columns, the cells."""

_MET = {"goal": "goal", "bar": "bar", "no": "**no**", None: "–"}


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with as many digits as say something: 1,234; 12.3; 0.123."""
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if value == 0:
        return "0"
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:.{max(0, digits - whole)}f}"


def _three(of: Mapping[str, float | None] | None) -> str:
    if of is None:
        return "–"
    return " / ".join(number(of[q]) for q in ("p50", "p95", "p99"))


def _bound(bar: Row, limit: str) -> str:
    return f"{'≥' if bar['at_least'] else '≤'} {bar[limit]:g}"


def bars_table(bars: Rows) -> Table:
    """Return the bars: measured, bar, goal, met or not."""
    cells: list[list[str]] = []
    for bar in bars:
        measured = number(bar["measured"])
        if bar["measured"] is None:
            measured = f"not measured (needs {bar['needs']})"
        unit = bar["unit"]
        figures = [measured, _bound(bar, "bar"), _bound(bar, "goal"), _MET[bar["met"]]]
        cells.append([bar["what"], unit, *figures])
    return ("The bars", ["", "unit", "measured", "bar", "goal", "met"], cells)


Column = tuple[str, Callable[[Row], str]]


def _plain(name: str) -> Callable[[Row], str]:
    return lambda row: str(row.get(name, ""))


def _figure(name: str) -> Callable[[Row], str]:
    return lambda row: number(row.get(name))


def _quantiles(name: str) -> Callable[[Row], str]:
    return lambda row: _three(row.get(name))


_API: Column = ("API behind", lambda row: NAMES.get(row.get("api", ""), ""))
_SYSTEM: Column = ("system", _plain("system"))
_Q = "p50 / p95 / p99 ms"

COLUMNS: Final[dict[str, tuple[str, tuple[Column, ...]]]] = {
    "requests": (
        "Whole answers, closed loop",
        (
            *(_API, ("request", _plain("size")), ("connections", _plain("connections")), _SYSTEM),
            ("CPU µs/request", _figure("cpu_us")),
            ("requests/s", _figure("per_second")),
            (f"added {_Q}", _quantiles("added_ms")),
            (_Q, _quantiles("latency_ms")),
        ),
    ),
    "rate": (
        "Whole answers, open loop (latency from when a request was due)",
        (
            *(("requests/s due", _plain("rate")), _API, _SYSTEM),
            (f"added {_Q}", _quantiles("added_ms")),
            (_Q, _quantiles("latency_ms")),
            ("CPU µs/request", _figure("cpu_us")),
        ),
    ),
    "streams": (
        "Streamed answers (steady: 50 streams, 100 ms between chunks; flood: 100 streams, 2 ms)",
        (
            *(_API, ("kind", _plain("kind")), _SYSTEM),
            ("CPU µs/chunk", _figure("cpu_us_chunk")),
            ("chunks/CPU-s", _figure("chunks_per_cpu_second")),
            (f"first token added, {_Q}", _quantiles("first_added_ms")),
            (f"each chunk added, {_Q}", _quantiles("transit_added_ms")),
        ),
    ),
    "memory": (
        "Open streams",
        (
            *(_SYSTEM, ("streams", _plain("streams"))),
            ("idle MB", _figure("idle_mb")),
            ("all open MB", _figure("plateau_mb")),
            ("KB/stream", _figure("kb_per_stream")),
            ("after MB", _figure("after_mb")),
        ),
    ),
    "start": (
        "Start",
        (
            _SYSTEM,
            ("start to first answer s", _figure("ready_seconds")),
            ("idle MB", _figure("idle_mb")),
        ),
    ),
    "tracing": (
        "Tracing, ours → Anthropic",
        (
            *(("kind", _plain("kind")), _SYSTEM),
            ("CPU µs/request", _figure("cpu_us")),
            ("CPU µs/chunk", _figure("cpu_us_chunk")),
            (_Q, _quantiles("latency_ms")),
            ("exports", _figure("otlp_posts")),
            ("exported bytes", _figure("otlp_bytes")),
        ),
    ),
    "workers": (
        "Server processes, on all cores",
        (
            _SYSTEM,
            ("requests/s", _figure("per_second")),
            ("CPU µs/request", _figure("cpu_us")),
            (_Q, _quantiles("latency_ms")),
        ),
    ),
    "soak": (
        "Soak, ours",
        (
            *(("seconds", _plain("seconds")), ("answers", _figure("answers"))),
            ("first MB", _figure("first_mb")),
            ("middle third MB", _figure("middle_mb")),
            ("last third MB", _figure("last_mb")),
            ("growth %", _figure("growth_percent")),
        ),
    ),
}


def part_table(part: str, rows: Rows) -> Table:
    """Return one part's rows as a table; a faulty row says so in the place of its figures."""
    title, columns = COLUMNS[part]
    cells: list[list[str]] = []
    for row in rows:
        if row["part"] != part:
            continue
        line = [write(row) for _, write in columns]
        if "fault" in row:
            first = next((n for n, text in enumerate(line) if text == "–"), len(line) - 1)
            word = "" if row.get("too_slow") else "FAILED: "
            line[first] = word + " ".join(str(row["fault"]).split())[:120].replace("|", "/")
        cells.append(line)
    return (title, [name for name, _ in columns], cells)


def tables(results: Mapping[str, Any]) -> list[Table]:
    """Return all tables of a run, the bars first."""
    rows: Rows = results["rows"]
    measured = dict.fromkeys(row["part"] for row in rows)
    return [bars_table(results["bars"]), *(part_table(part, rows) for part in measured)]


def conditions(results: Mapping[str, Any]) -> list[str]:
    """Return what the figures hold for: machine, versions, how they were taken."""
    machine, options = results["machine"], results["options"]
    loads = machine["load_average"]
    lines = [
        f"{results['begun'][:10]}, commit {results['commit']}; {machine['cpu']}, "
        f"{machine['cores']} cores, {machine['kernel']}, Python {machine['python']}; "
        f"load average before and after: {loads[0]:.2f}, {loads[1]:.2f}.",
        f"{options['rounds']} rounds of {options['seconds']:g} s each, in turn, medians; "
        "the system under test alone on a core.",
        "; ".join(f"{name} {number}" for name, number in results["versions"].items()) + ".",
    ]
    return lines + [f"Warning: {warning}." for warning in results["warnings"]]


def as_text(results: Mapping[str, Any]) -> str:
    """Return the results for a terminal."""
    blocks = ["\n".join(conditions(results))]
    for title, columns, cells in tables(results):
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        lines = [title, *(_line(line, widths) for line in (columns, *cells))]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks).replace("**", "") + "\n"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    return ("  " + "  ".join(padded)).rstrip()


def as_markdown(results: Mapping[str, Any]) -> str:
    """Return the results as a section of a page."""
    blocks = ["\n".join(f"* {line}" for line in conditions(results))]
    command = f'    make bench BENCH_ARGS="{results["options"]["arguments"]}"'.replace(
        ' BENCH_ARGS=""', ""
    )
    blocks.append("The command:\n\n" + command)
    for title, columns, cells in tables(results):
        lines = [f"| {' | '.join(line)} |" for line in (columns, *cells)]
        lines.insert(1, "|" + "---|" * len(columns))
        blocks.append(f"### {title}\n\n" + "\n".join(lines))
    return "\n\n".join(blocks)


def write_into(page: Path, results: Mapping[str, Any]) -> None:
    """Put the results between a page's markers; the rest of it stays as it is.

    Raises:
        ValueError: The page does not have the two markers, once each and in this order.
    """
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in after:
        raise ValueError(f"{page} needs the lines `{BEGIN}` and `{END}`, once each")
    page.write_text(f"{before}{BEGIN}\n\n{as_markdown(results)}\n\n{END}{after}")
