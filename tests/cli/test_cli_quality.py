"""`quality`: submit, gates, history, as a user runs them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import Done, pipe
from tests.quality.suites import result, suite

Run = Callable[..., Done]

JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites>
 <testsuite name="api" timestamp="2026-11-30T12:00:00.5+01:00" tests="5">
  <properties><property name="commit" value="abc"/></properties>
  <testcase classname="tests.test_a" name="test_ok" time="0.25"/>
  <testcase classname="tests.test_a" name="test_bad" time="1,000.5">
   <failure message="no">long text</failure></testcase>
  <testcase classname="tests.test_a" name="test_broken" time="0"><error>it broke</error></testcase>
  <testcase classname="tests.test_a" name="test_both" time="0">
   <failure message="no"/><error message="worse"/></testcase>
  <testcase name="test_later"><skipped message="not today"/></testcase>
 </testsuite>
</testsuites>
"""


@pytest.fixture
def quality(run: Run, tmp_path: Path) -> Run:
    """Run a command of `quality` on a database of the test's own."""

    def call(*arguments: str, env: dict[str, str] | None = None) -> Done:
        more = {"EP_QUALITY_DB": str(tmp_path / "q.db"), "EP_QUALITY_GATES": "", **(env or {})}
        return run("quality", *arguments, env=more)

    return call


def test_a_json_suite_is_submitted_judged_and_listed(quality: Run, tmp_path: Path):
    (tmp_path / "good.json").write_text(json.dumps(suite("run-1")))
    (tmp_path / "bad.json").write_text(json.dumps(suite("run-2", result("failed"))))
    done = quality("submit", "--project", "shop", "good.json")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("Suite run-1 of shop (")
    assert done.out.endswith("Every gate passed.\n")
    again = quality("submit", "--project", "shop", "good.json")
    assert "which was there already" in again.out
    done = quality("submit", "--project", "shop", "bad.json")
    assert done.status == 1
    assert "FAIL  success_rate is 0 %, not >= 99 %" in done.out
    assert quality("gates", "--project", "shop", "run-1").status == 0
    done = quality("gates", "--project", "shop", "run-2", "--json")
    assert (done.status, json.loads(done.out)["passed"]) == (1, False)
    done = quality("history", "shop")
    assert done.status == 0
    lines = done.out.splitlines()
    assert [line.split()[2] for line in lines[1:3]] == ["run-2", "run-1"]
    assert ["success_rate", "worsening"] in [line.split() for line in lines]
    listed = json.loads(quality("history", "shop", "--last", "1", "--json").out)
    assert [one["suite_id"] for one in listed["history"]["suites"]] == ["run-2"]
    assert "has no suites" in quality("history", "other").out


def test_a_junit_report_is_a_suite(quality: Run, tmp_path: Path):
    (tmp_path / "report.xml").write_text(JUNIT)
    done = quality("submit", "--project", "shop", "report.xml", "--json")
    assert done.status == 1
    suite_id = json.loads(done.out)["suite_id"]
    # Its id comes from its content: once more is no second run.
    assert json.loads(quality("submit", "--project", "shop", "report.xml", "--json").out) == (
        json.loads(done.out)
    )
    from execution_platform.quality_fabric import QualityFabricClient

    client = QualityFabricClient("shop", database=tmp_path / "q.db")
    import asyncio

    found = asyncio.run(client.get_test_suite(suite_id)).suite
    assert (found.name, found.environment) == ("api", {"commit": "abc"})
    assert found.started_at is not None
    assert found.started_at.isoformat() == "2026-11-30T11:00:00.500000+00:00"
    assert [(one.name, one.status, one.duration_ms, one.message) for one in found.results] == [
        ("tests.test_a::test_ok", "passed", 250.0, None),
        ("tests.test_a::test_bad", "failed", 1_000_500.0, "no"),
        ("tests.test_a::test_broken", "error", 0.0, "it broke"),
        ("tests.test_a::test_both", "error", 0.0, "worse"),
        ("test_later", "skipped", 0.0, "not today"),
    ]


ENTITIES = """<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<testsuite name="&b;"/>"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<testsuites><testcase>", "not XML"),
        ("<html/>", "begins with `<html>`"),
        (ENTITIES, "document type"),
        ('<testsuite><testcase name="a" time="soon"/></testsuite>', "number of seconds"),
        ('<testsuite><testcase name="a" time="nan"/></testsuite>', "finite number"),
        ('{"name": 3}', "`name`: it must be text"),
        ("[1]", "neither XML nor a JSON object"),
        ("", "neither XML nor a JSON object"),
    ],
)
def test_a_wrong_file_is_refused(quality: Run, tmp_path: Path, text: str, said: str):
    (tmp_path / "file").write_text(text)
    done = quality("submit", "--project", "shop", "file")
    assert (done.status, done.out) == (1, "")
    assert said in done.err
    assert not (tmp_path / "q.db").exists()


def test_the_project_and_the_file_are_needed(quality: Run, tmp_path: Path):
    (tmp_path / "suite.json").write_text(json.dumps(suite("run-1")))
    assert "--project" in quality("submit", "suite.json").err
    assert "cannot be a project" in quality("history", "a b").err
    assert "nothing.json" in quality("submit", "--project", "shop", "nothing.json").err
    assert "has no suite" in quality("gates", "--project", "shop", "nothing").err
    (tmp_path / "suite.json").write_text(json.dumps(suite("run-1", project="named")))
    assert "Suite other of named" in quality("submit", "suite.json", "--id", "other").out


def test_standard_input_is_a_file(tmp_path: Path):
    env = {"EP_QUALITY_DB": str(tmp_path / "q.db")}
    done = pipe("quality", "submit", "--project", "shop", "-", text=JUNIT, env=env)
    assert (done.status, done.err) == (1, "")
    assert "of shop" in done.out


def test_a_server_and_a_file_at_once_is_a_contradiction(quality: Run):
    done = quality("history", "shop", "--url", "http://127.0.0.1:1", "--db", "x.db")
    assert (done.status, "leave `database`" in done.err) == (1, True)
