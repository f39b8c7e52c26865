"""Rules and scrape configuration, by Prometheus' own tool."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.parts import need
from tests.prometheus_server import prometheus_missing
from tests.serving import ROOT

FOLDER = ROOT / "deploy" / "prometheus"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]


def promtool(*arguments: str, cwd: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    need(prometheus_missing())
    return subprocess.run(
        ["promtool", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60
    )


def test_the_rules_are_right() -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_do_what_they_are_for() -> None:
    done = promtool("test", "rules", "rules_test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("found", "instead"),
    [
        ("ep:http_errors:ratio_rate5m > 0.05", "ep:http_errors:ratio_rate5m > 0.3"),
        ("min by (ep_persona) (ep_gate_open)", "max by (ep_persona) (ep_gate_open)"),
        ('ep_end_reason=~"upstream_error|internal_error"', 'ep_end_reason!="completed"'),
        ("increase(ep_spans_dropped_total[10m]) > 0", "ep_spans_dropped_total > 0"),
    ],
)
def test_their_tests_see_a_rule_that_is_wrong(tmp_path: Path, found: str, instead: str) -> None:
    shutil.copy(FOLDER / "rules_test.yml", tmp_path)
    text = (FOLDER / "rules.yml").read_text()
    assert text.count(found) == 1
    (tmp_path / "rules.yml").write_text(text.replace(found, instead))
    assert promtool("test", "rules", "rules_test.yml", cwd=tmp_path).returncode == 1


def test_the_scrape_configuration_is_right(tmp_path: Path) -> None:
    # The tool looks for the key where it lies in the container.
    text = (FOLDER / "prometheus.yml").read_text()
    mounted = "/etc/prometheus/metrics-key"
    assert mounted in text
    shutil.copy(FOLDER / "rules.yml", tmp_path)
    (tmp_path / "metrics-key").write_text("key")
    (tmp_path / "prometheus.yml").write_text(text.replace(mounted, str(tmp_path / "metrics-key")))
    done = promtool("check", "config", "--lint-fatal", "prometheus.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_waits_and_says_what_to_do() -> None:
    for rule in ALERTS:
        assert rule["for"], rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}, rule["alert"]


def test_every_alert_is_tried_in_an_hour_when_it_is_silent() -> None:
    cases = yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]
    good = next(case for case in cases if case["name"] == "a good hour is silent")
    silent = {row["alertname"] for row in good["alert_rule_test"] if row["exp_alerts"] == []}
    assert silent == {rule["alert"] for rule in ALERTS}


def test_the_charts_rules_are_these() -> None:
    chart = ROOT / "deploy" / "helm" / "execution-platform" / "files" / "rules.yml"
    assert chart.read_text() == (FOLDER / "rules.yml").read_text(), (
        "copy deploy/prometheus/rules.yml there: a chart cannot read what lies outside of it"
    )
