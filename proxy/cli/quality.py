"""`quality`: submit test runs, ask for verdicts, serve others."""

import argparse
import asyncio
import logging.config
import sys
from pathlib import Path
from typing import Any

import msgspec

from proxy import server
from proxy.cli.table import columns
from proxy.quality.answers import History, QualityGateReport, Trend
from proxy.quality.app import create_quality_app
from proxy.quality.backends import Backend, choose_backend
from proxy.quality.errors import InvalidSuite
from proxy.quality.junit import suite_from_junit
from proxy.quality.records import check_identifier, validated_suite
from proxy.quality.service import check_quality
from proxy.service import access_of, load_configuration
from translators.errors import InvalidRequest
from translators.json import UNREADABLE

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Run one of the commands."""
    if options.action == "serve":
        return _serve(options)
    backend = choose_backend(
        url=options.quality_url, database=options.quality_db, gates=options.quality_gates
    )
    command = {"submit": _submit, "gates": _gates, "history": _history}[options.action]
    return asyncio.run(command(options, backend))


def _serve(options: argparse.Namespace) -> int:
    configuration = load_configuration()
    logging.config.dictConfig(server.log_config(configuration.settings))
    check_quality(configuration)
    listener = server.bind(configuration, insecure=options.insecure_no_auth)
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    needs_key = "" if access_of(configuration).open else " and EP_API_KEY=YOUR-CLIENT-KEY"

    def announce() -> None:
        print(f"Quality Fabric listens on {url}")
        print(f"\nPoint clients at it: EP_QUALITY_URL={url}{needs_key}", flush=True)

    server.run(configuration, listener, on_started=announce, create=create_quality_app)
    return 0


async def _submit(options: argparse.Namespace, backend: Backend) -> int:
    fields = _read(options.file)
    if options.suite is not None:
        fields["name"] = options.suite
    if options.id is not None:
        fields["id"] = options.id
    project = options.project or fields.get("project")
    if not isinstance(project, str):
        raise InvalidSuite("Whose suite is it? Name the project with --project.", param="project")
    suite = validated_suite(fields, check_identifier(project, "project"))
    submission = await backend.submit(project, suite)
    report = await backend.check(project, submission.suite_id)
    if not options.json:
        again = "" if submission.created else ", which was there already"
        print(f"Suite {submission.suite_id} of {project}{again} ({backend.place})")
    return _print_report(report, as_json=options.json)


def _read(path: str) -> dict[str, Any]:
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror}.") from None
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return suite_from_junit(data)
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except UNREADABLE as error:
        raise InvalidRequest(f"{path}: neither XML nor a JSON object: {error}.") from None


async def _gates(options: argparse.Namespace, backend: Backend) -> int:
    project = check_identifier(options.project, "project")
    report = await backend.check(project, check_identifier(options.suite, "suite_id"))
    return _print_report(report, as_json=options.json)


def _print_report(report: QualityGateReport, *, as_json: bool) -> int:
    if as_json:
        print(report.model_dump_json())
    else:
        rows = [("pass" if gate.passed else "FAIL", gate.detail) for gate in report.gates]
        print(columns(rows, indent="  "))
        print("Every gate passed." if report.passed else "Not good enough.")
    return 0 if report.passed else 1


async def _history(options: argparse.Namespace, backend: Backend) -> int:
    project, name = check_identifier(options.project, "project"), options.suite
    history = await backend.history(project, limit=options.last, name=name)
    trend = await backend.trend(project, last=options.last, name=name)
    if options.json:
        print(f'{{"history":{history.model_dump_json()},"trend":{trend.model_dump_json()}}}')
    elif history.suites:
        _print_history(history, trend)
    else:
        of_name = "" if name is None else f" of the name `{name}`"
        print(f"{project} has no suites{of_name} ({backend.place}).")
    return 0


def _print_history(history: History, trend: Trend) -> None:
    units = {one.metric: one.unit for one in trend.metrics}
    rows = [("submitted", "suite", *units, "gates", "name")]
    for suite in history.suites:
        values = [_value(suite.metrics.get(metric), unit) for metric, unit in units.items()]
        verdict = "pass" if suite.gates_passed else "FAIL"
        submitted = suite.submitted_at.strftime("%Y-%m-%d %H:%M:%S")
        rows.append((submitted, suite.suite_id, *values, verdict, suite.name))
    print(columns(rows))
    print(f"\nWhere the last {len(history.suites)} are going (times are UTC)")
    print(columns([(one.metric, one.direction) for one in trend.metrics], indent="  "))


def _value(value: float | None, unit: str) -> str:
    return "no data" if value is None else f"{value:.2f} {unit}"
