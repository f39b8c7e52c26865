"""`doctor`: what keeps it from working, and what to do about it."""

import argparse
import sys
from collections.abc import Sequence

from proxy.cli.diagnosis.examination import Wanted, examine
from proxy.cli.diagnosis.findings import Finding, as_json, worst
from proxy.cli.table import columns
from translators.json import encode

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Print what was found; return 1 if something fails for it."""
    wanted = Wanted(
        every=options.all, offline=options.offline, live=options.live, progress=_progress
    )
    findings = examine(wanted)
    if options.json:
        print(encode(as_json(findings)).decode())
    else:
        _print(findings)
    return 1 if worst(findings) == "failed" else 0


def _progress(text: str) -> None:
    # For somebody who waits; a file or a pipe has no use for it.
    if sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)


def _sentences(finding: Finding) -> str:
    if not finding.remedy:
        return finding.found
    end = "" if finding.found.endswith((".", "?")) else "."
    return f"{finding.found}{end} {finding.remedy}"


def _print(findings: Sequence[Finding]) -> None:
    rows = [
        (
            finding.status,
            f"{finding.name} {finding.subject}".rstrip(),
            _sentences(finding),
        )
        for finding in findings
    ]
    print(columns(rows))
    counts = {status: sum(f.status == status for f in findings) for status in ("failed", "warning")}
    print(f"\n{counts['failed']} failed, {counts['warning']} to look at.")
