"""The client: as the integration guide has it, and the same with a file and with a server."""

import ast
import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from execution_platform import quality_fabric
from execution_platform.quality_fabric import (
    InvalidSuite,
    QualityFabricClient,
    QualityFabricError,
    QualityStoreError,
    QualityUnreachable,
    SuiteConflict,
    SuiteNotFound,
    TestResult,
    TestSuite,
)

from policy.errors import PolicyError
from policy.quality_gates import DEFAULT_GATES, parse_gates
from proxy.environment import ConfigurationError
from tests.guide import GUIDE, absent
from tests.serving import Proxy, QualityServer, SandboxProcess


def guide(language: str) -> str:
    """Return the block of the guide's last section on Quality Fabric."""
    if not GUIDE.is_file():
        pytest.skip(absent())
    section = GUIDE.read_text().partition("## Quality Fabric Integration")[2]
    (block,) = re.findall(rf"```{language}\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    return block


def a_suite(*statuses: Any, **fields: Any) -> TestSuite:
    results = [TestResult(name=f"test {s}", status=s, duration_ms=5) for s in statuses]
    return TestSuite(name="unit", results=tuple(results), **fields)


Make = Callable[[str], QualityFabricClient]


@pytest.fixture(params=["file", "server"])
def make(request: pytest.FixtureRequest, quality: QualityServer, tmp_path: Path) -> Make:
    """Make clients of projects that no other test uses, in both forms."""
    own = re.sub(r"\W", "-", request.node.name)

    def client(project: str) -> QualityFabricClient:
        if request.param == "server":
            return QualityFabricClient(f"{own}{project}", url=quality.url)
        return QualityFabricClient(f"{own}{project}", database=tmp_path / "quality.db")

    return client


async def test_the_guides_snippet_runs_as_it_stands():
    code = guide("python")
    module = compile(code, "guide", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    suite = a_suite("passed")
    names: dict[str, Any] = {"test_suite": suite, "suite_id": suite.id}
    await eval(module, names)
    gates = names["gates"]
    assert (gates.suite_id, gates.project, gates.passed) == (suite.id, "your-service", True)
    assert [gate.metric for gate in gates.gates] == list(DEFAULT_GATES)


def test_the_guides_gates_load_as_they_stand_and_are_the_default():
    assert parse_gates(guide("yaml"), "guide") == DEFAULT_GATES


async def test_a_suite_is_submitted_judged_and_read_back(make: Make):
    client = make("")
    suite = a_suite("passed", "failed", "skipped", environment={"commit": "abc"})
    first, second = await client.submit_test_suite(suite), await client.submit_test_suite(suite)
    assert (first.created, second.created) == (True, False)
    assert first.submitted_at == second.submitted_at
    report = await client.check_quality_gates(suite.id)
    assert [(g.metric, g.value, g.passed) for g in report.gates] == [
        *(("success_rate", 50.0, False), ("average_duration", 5.0, True), ("error_rate", 0.0, True))
    ]
    assert not report.passed
    read = await client.get_test_suite(suite.id)
    assert read.suite == suite.model_copy(update={"project": client.project})


async def test_what_is_wrong_raises_the_same_in_both_forms(make: Make):
    client = make("")
    await client.submit_test_suite(a_suite("passed", id="run-1"))
    with pytest.raises(SuiteConflict, match="another one") as conflict:
        await client.submit_test_suite(a_suite("failed", id="run-1"))
    assert (conflict.value.status_hint, conflict.value.code) == (409, "suite_conflict")
    with pytest.raises(SuiteNotFound, match="has no suite `nothing`"):
        await client.check_quality_gates("nothing")
    with pytest.raises(SuiteNotFound):
        await make("-other").check_quality_gates("run-1")
    with pytest.raises(InvalidSuite, match="belongs to the project `elsewhere`"):
        await client.submit_test_suite(a_suite("passed", project="elsewhere"))
    with pytest.raises(InvalidSuite) as invalid:
        await client.submit_test_suite({"name": "x", "results": [{"name": "a", "status": "ok"}]})
    assert invalid.value.param == "results[0].status"
    with pytest.raises(InvalidSuite, match="from 1 to 1000|less than or equal to 1000"):
        await client.history(limit=1001)
    with pytest.raises(InvalidSuite, match="cannot be a suite_id"):
        await client.check_quality_gates("../../gates")


async def test_history_and_trend(make: Make):
    client = make("")
    for number in range(4):
        await client.submit_test_suite(a_suite(*["passed"] * 5, *["failed"] * number))
    history = await client.history(limit=3)
    assert [one.failed for one in history.suites] == [3, 2, 1]
    older = await client.history(before=history.next_before)
    assert [one.failed for one in older.suites] == [0]
    trend = {one.metric: one for one in (await client.trend()).metrics}
    assert trend["success_rate"].direction == "worsening"
    assert [point.value for point in trend["error_rate"].points] == [0.0] * 4
    assert (await client.history(name="other")).suites == ()
    assert (await client.trend(name="other")).metrics[0].direction == "unknown"


def test_the_sync_forms_do_the_same(make: Make):
    client, suite = make(""), a_suite("passed")
    assert client.submit_test_suite_sync(suite).created
    assert client.check_quality_gates_sync(suite.id).passed


async def test_the_sync_forms_say_what_to_do_in_a_loop(tmp_path: Path):
    client = QualityFabricClient("shop", database=tmp_path / "q.db")
    with pytest.raises(QualityFabricError, match="await the method without `_sync`"):
        client.submit_test_suite_sync(a_suite("passed"))


async def test_a_file_and_its_server_see_the_same(tmp_path: Path):
    database = tmp_path / "q.db"
    with QualityServer(database) as server:
        here, there = (
            QualityFabricClient("shop", database=database),
            QualityFabricClient("shop", url=f"{server.url}/quality/"),
        )
        suites = [a_suite("passed") for _ in range(20)]
        await asyncio.gather(
            *(c.submit_test_suite(s) for s, c in zip(suites, [here, there] * 10, strict=True))
        )
        assert await here.history() == await there.history()
        assert {one.suite_id for one in (await here.history()).suites} == {s.id for s in suites}


def test_the_environment_says_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    state = tmp_path / "state" / "execution-platform" / "quality.db"
    assert QualityFabricClient("shop").place == str(state)
    monkeypatch.setenv("EP_QUALITY_DB", str(tmp_path / "named.db"))
    assert QualityFabricClient("shop").place == str(tmp_path / "named.db")
    monkeypatch.setenv("EP_QUALITY_URL", "http://quality.example:8090/")
    assert QualityFabricClient("shop").place == "http://quality.example:8090/quality"
    # An argument wins.
    other = QualityFabricClient("shop", database=tmp_path / "other.db")
    assert other.place == str(tmp_path / "other.db")


def test_wrong_settings_are_refused_when_the_client_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    with pytest.raises(InvalidSuite, match="cannot be a project"):
        QualityFabricClient("my service")
    with pytest.raises(QualityFabricError, match="leave `database` and `gates` out"):
        QualityFabricClient("shop", url="http://x", database=tmp_path)
    for url in ("", "quality.example", "ftp://x", "http://user:secret@x", "http://x/?a=1"):
        with pytest.raises(ConfigurationError) as caught:
            QualityFabricClient("shop", url=url)
        assert "secret" not in str(caught.value)
    gates = tmp_path / "gates.yaml"
    with pytest.raises(PolicyError, match="cannot be read"):
        QualityFabricClient("shop", gates=gates)
    gates.write_bytes(b"\xff")
    with pytest.raises(PolicyError, match="UTF-8"):
        QualityFabricClient("shop", gates=gates)
    monkeypatch.setenv("EP_QUALITY_DATABASE", "x")
    with pytest.raises(ConfigurationError, match="no such setting"):
        QualityFabricClient("shop")


async def test_gates_of_ones_own(tmp_path: Path):
    gates = tmp_path / "gates.yaml"
    gates.write_text("quality_gates:\n  success_rate: {threshold: 40, operator: '>'}\n")
    client, suite = QualityFabricClient("shop", gates=gates), a_suite("passed", "failed")
    await client.submit_test_suite(suite)
    assert (await client.check_quality_gates(suite.id)).passed


async def test_a_server_that_is_not_there_or_is_another(providers: SandboxProcess):
    with pytest.raises(QualityUnreachable, match="gave no answer"):
        await QualityFabricClient("shop", url="http://127.0.0.1:1").history()
    with pytest.raises(QualityUnreachable, match="what no Quality Fabric says"):
        await QualityFabricClient("shop", url=providers.url).history()


async def test_a_proxy_that_does_not_serve_it(shipped: Proxy):
    with pytest.raises(QualityUnreachable, match="EP_QUALITY=1"):
        await QualityFabricClient("shop", url=shipped.url).history()


async def test_the_client_key_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with QualityServer(tmp_path / "q.db", env={"EP_CLIENT_KEYS": "right-key"}) as server:
        with pytest.raises(QualityFabricError) as caught:
            await QualityFabricClient("shop", url=server.url, api_key="wrong-key").history()
        assert caught.value.code == "invalid_api_key"
        assert "wrong-key" not in str(caught.value)
        monkeypatch.setenv("EP_API_KEY", "right-key")
        assert (await QualityFabricClient("shop", url=server.url).history()).suites == ()


async def test_a_damaged_file_is_told(tmp_path: Path):
    (tmp_path / "q.db").write_bytes(b"no database" * 100)
    client = QualityFabricClient("shop", database=tmp_path / "q.db")
    with pytest.raises(QualityStoreError, match="damaged"):
        await client.submit_test_suite(a_suite("passed"))


def test_pytest_does_not_take_the_models_for_tests():
    assert not TestResult.__test__
    assert not TestSuite.__test__


def test_everything_that_is_offered_is_there():
    assert all(hasattr(quality_fabric, name) for name in quality_fabric.__all__)


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": "5"},
        {"limit": 0},
        {"limit": True},
        {"before": -1},
        {"before": 2**70},
        {"before": "x"},
        {"name": "\ud800"},
        {"name": 5},
        {"name": ""},
    ],
)
async def test_an_odd_question_is_refused_by_a_file_too(tmp_path: Path, wrong: dict[str, Any]):
    client = QualityFabricClient(project="shop", database=tmp_path / "quality.db")
    with pytest.raises(InvalidSuite):
        await client.history(**wrong)


async def test_what_is_no_suite_is_refused(tmp_path: Path):
    client: Any = QualityFabricClient(project="shop", database=tmp_path / "quality.db")
    with pytest.raises(InvalidSuite):
        await client.submit_test_suite(5)
