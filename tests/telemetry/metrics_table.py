"""The table of metrics: `python -m tests.telemetry.metrics_table` writes it into the README."""

import sys
from pathlib import Path

from proxy.telemetry.metrics.instruments import INSTRUMENTS, Instrument, label_name, prometheus_name
from tests.marked_pages import with_part

__all__ = ["README", "main", "page", "rendered"]

README = Path(__file__).parents[2] / "proxy" / "telemetry" / "README.md"

BEGIN = "<!-- metrics: written by `make docs` -->"
END = "<!-- end of the metrics -->"


def rendered() -> str:
    """Return the metrics in Markdown."""
    parts: list[str] = []
    for title, family in _TITLES:
        rows = [row for row in INSTRUMENTS.values() if (row.family == "latest") is family]
        head = ["| OpenTelemetry | Prometheus | kind | labels | |", "|---|---|---|---|---|"]
        parts += [f"### {title}", "\n".join(head + [_line(row) for row in rows])]
    return "\n\n".join(parts)


_TITLES = (("By default", False), ("With `gen_ai_latest_experimental`", True))


def _line(row: Instrument) -> str:
    kind = row.kind if row.unit == "" else f"{row.kind}, {row.unit}"
    labels = ", ".join(f"`{label_name(attribute)}`" for attribute in row.attributes)
    cells = (f"`{row.name}`", f"`{prometheus_name(row)}`", kind, labels, row.description)
    return "| " + " | ".join(cells) + " |"


def page(text: str) -> str:
    """Return the text of the README with the table as it is now.

    Raises:
        ValueError: The marks between which it stands are missing.
    """
    return with_part(text, BEGIN, END, rendered(), page=README.name)


def main() -> int:
    """Write the table; return the exit status."""
    text = README.read_text(encoding="utf-8")
    new = page(text)
    if new != text:
        README.write_text(new, encoding="utf-8")
        print("proxy/telemetry/README.md: the table of metrics is new.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
