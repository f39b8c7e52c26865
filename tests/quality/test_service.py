"""The REST interface over a real socket: submissions, verdicts, history, trends, access."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.quality.suites import result, suite, suites_url
from tests.serving import Proxy, QualityServer, run_to_end


async def submit(http: httpx.AsyncClient, url: str, body: Any) -> httpx.Response:
    return await http.post(url, json=body)


async def test_a_suite_comes_back_as_it_was_submitted(
    quality: QualityServer, http: httpx.AsyncClient
):
    url = suites_url(quality.url, "returns")
    body = suite(
        "run-1",
        result(name="'; DROP TABLE suites; --"),
        {"name": "ünïcode 🎉", "status": "failed", "duration_ms": 1.5, "message": "a\nb\u2028c"},
        name="Robert'); DELETE FROM suites; --",
    )
    created = await submit(http, url, body)
    assert created.status_code == 201
    assert created.json()["created"] is True
    found = (await http.get(f"{url}/run-1")).json()
    assert found["suite"] == {**body, "project": "returns"}
    assert found["submitted_at"] == created.json()["submitted_at"]


async def test_the_same_again_is_fine_and_another_under_its_id_is_a_conflict(
    quality: QualityServer, http: httpx.AsyncClient
):
    url = suites_url(quality.url, "again")
    first = await submit(http, url, suite("run-1"))
    # The same moment and the same number, written in other ways.
    same = suite("run-1", started_at="2026-11-30T14:00:00+02:00", project="again")
    same["results"][0]["duration_ms"] = 10
    second = await submit(http, url, same)
    assert (second.status_code, second.json()) == (200, {**first.json(), "created": False})
    other = await submit(http, url, suite("run-1", result("failed")))
    assert (other.status_code, other.json()["error"]["code"]) == (409, "suite_conflict")
    assert (await http.get(f"{url}/run-1")).json()["suite"]["results"][0]["status"] == "passed"
    assert len((await http.get(url)).json()["suites"]) == 1


async def test_one_of_many_concurrent_submissions_of_one_suite_is_new(
    quality: QualityServer, http: httpx.AsyncClient
):
    url = suites_url(quality.url, "race")
    answers = await asyncio.gather(*(submit(http, url, suite("run-1")) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]


async def test_a_suite_without_an_id_gets_one(quality: QualityServer, http: httpx.AsyncClient):
    url = suites_url(quality.url, "nameless")
    ids = {(await submit(http, url, {"name": "unit"})).json()["suite_id"] for _ in range(2)}
    assert {one["suite_id"] for one in (await http.get(url)).json()["suites"]} == ids
    assert len(ids) == 2


async def test_two_projects_do_not_see_each_other(quality: QualityServer, http: httpx.AsyncClient):
    one, two = (suites_url(quality.url, name) for name in ("one", "two"))
    assert (await submit(http, one, suite("run-1"))).status_code == 201
    assert (await submit(http, one, suite("only-one"))).status_code == 201
    # The same id with other content is no conflict there.
    assert (await submit(http, two, suite("run-1", result("failed")))).status_code == 201
    assert (await http.get(f"{two}/only-one")).status_code == 404
    assert (await http.get(f"{two}/only-one/gates")).status_code == 404
    assert [one["suite_id"] for one in (await http.get(two)).json()["suites"]] == ["run-1"]
    assert (await http.get(f"{one}/run-1/gates")).json()["passed"] is True
    assert (await http.get(f"{two}/run-1/gates")).json()["passed"] is False
    trend = (await http.get(f"{quality.url}/quality/projects/two/trend")).json()
    assert [len(metric["points"]) for metric in trend["metrics"]] == [1, 1, 1]
    # Whoever names one project and submits to the other is told.
    wrong = await submit(http, one, suite("run-2", project="two"))
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "project")
    listed = (await http.get(f"{quality.url}/quality/projects")).json()["projects"]
    assert {p["project"]: p["suites"] for p in listed}.items() >= {("one", 2), ("two", 1)}


async def test_the_gates_count_what_ran(quality: QualityServer, http: httpx.AsyncClient):
    url = suites_url(quality.url, "verdicts")
    passed = [result(milliseconds=100.0)] * 98
    bad = [result("failed", 100.0), result("error", 100.0)]
    skipped = [result("skipped", 1e9)] * 50
    await submit(http, url, suite("mixed", *passed, *bad, *skipped))
    report = (await http.get(f"{url}/mixed/gates")).json()
    assert report["passed"] is False
    assert [(g["metric"], g["value"], g["passed"]) for g in report["gates"]] == [
        ("success_rate", 98.0, False),
        ("average_duration", 100.0, True),
        ("error_rate", 1.0, True),
    ]
    assert report["gates"][0]["detail"] == "success_rate is 98 %, not >= 99 %"
    # Exactly the threshold is met.
    await submit(
        http, url, suite("edge", *[result(milliseconds=5000)] * 99, result("failed", 5000))
    )
    report = (await http.get(f"{url}/edge/gates")).json()
    assert report["passed"] is True
    assert [gate["value"] for gate in report["gates"]] == [99.0, 5000.0, 0.0]


@pytest.mark.parametrize("results", [[], [result("skipped")]])
async def test_no_data_is_not_a_pass(
    quality: QualityServer, http: httpx.AsyncClient, results: list[Any]
):
    url = suites_url(quality.url, "empty")
    suite_id = f"none-{len(results)}"
    await submit(http, url, {**suite(suite_id), "results": results})
    report = (await http.get(f"{url}/{suite_id}/gates")).json()
    assert report["passed"] is False
    assert [(gate["value"], gate["passed"]) for gate in report["gates"]] == [(None, False)] * 3
    assert "no data" in report["gates"][0]["detail"]


async def test_the_history_pages_from_the_newest(quality: QualityServer, http: httpx.AsyncClient):
    url = suites_url(quality.url, "history")
    for number in range(7):
        kind = "unit" if number % 2 else "e2e"
        await submit(http, url, suite(f"run-{number}", name=kind))
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = (await http.get(url, params=query)).json()
        seen += [one["suite_id"] for one in page["suites"]]
        if page["next_before"] is None:
            break
        query["before"] = page["next_before"]
    assert seen == [f"run-{number}" for number in reversed(range(7))]
    units = (await http.get(url, params={"name": "unit"})).json()["suites"]
    assert [one["suite_id"] for one in units] == ["run-5", "run-3", "run-1"]
    assert units[0]["metrics"] == {
        **{"success_rate": 100.0, "average_duration": 10.0, "error_rate": 0.0}
    }
    assert units[0]["gates_passed"] is True


async def test_the_trend_is_of_the_last_suites(quality: QualityServer, http: httpx.AsyncClient):
    url = suites_url(quality.url, "trend")
    for number, milliseconds in enumerate([9000, 100, 100, 50, 50]):
        bad = [result("failed", milliseconds)] * number
        ok = [result(milliseconds=milliseconds)] * (10 - number)
        await submit(http, url, suite(f"run-{number}", *ok, *bad))
    address = f"{quality.url}/quality/projects/trend/trend"
    trend = (await http.get(address, params={"last": 4})).json()
    assert {m["metric"]: m["direction"] for m in trend["metrics"]} == {
        "success_rate": "worsening",
        "average_duration": "improving",
        "error_rate": "steady",
    }
    points = trend["metrics"][1]["points"]
    assert [(p["suite_id"], p["value"]) for p in points] == [
        *(("run-1", 100.0), ("run-2", 100.0), ("run-3", 50.0), ("run-4", 50.0)),
    ]


async def test_gates_of_a_file_are_in_force(tmp_path: Path, http: httpx.AsyncClient):
    gates = tmp_path / "gates.yaml"
    gates.write_text("quality_gates:\n  error_rate: {threshold: 0, operator: '=='}\n")
    with QualityServer(tmp_path / "q.db", "--gates", str(gates)) as server:
        url = suites_url(server.url)
        await submit(http, url, suite("run-1", result("failed")))
        report = (await http.get(f"{url}/run-1/gates")).json()
        assert [(g["metric"], g["passed"]) for g in report["gates"]] == [("error_rate", True)]
        in_force = (await http.get(f"{server.url}/quality/gates")).json()
        assert in_force == {"quality_gates": {"error_rate": {"threshold": 0.0, "operator": "=="}}}


async def test_client_keys_guard_everything_but_the_probe(tmp_path: Path, http: httpx.AsyncClient):
    env = {"EP_CLIENT_KEYS": "right-key"}
    with QualityServer(tmp_path / "q.db", env=env) as server:
        url = suites_url(server.url)
        asked = [
            http.post(url, json=suite("run-1")),
            http.post(url, json=suite("run-1"), headers={"authorization": "Bearer wrong-key"}),
            *(
                http.get(server.url + path)
                for path in ("/quality/openapi.json", "/quality/projects", "/quality/gates")
            ),
        ]
        for answer in await asyncio.gather(*asked):
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "invalid_api_key"
        key = {"authorization": "Bearer right-key"}
        assert (await http.get(url, headers=key)).json()["suites"] == []
        assert (await http.post(url, json=suite("run-1"), headers=key)).status_code == 201
        assert (await http.get(f"{server.url}/healthz")).status_code == 200


def test_without_keys_it_listens_on_loopback_only(tmp_path: Path):
    done = run_to_end(
        *("quality", "serve", "--host", "0.0.0.0", "--port", "0", "--db", str(tmp_path / "q.db"))
    )
    assert done.returncode == 1
    assert "listens on loopback only" in done.stderr


async def test_the_proxy_serves_it_only_when_asked(tmp_path: Path, http: httpx.AsyncClient):
    env = {"EP_CLIENT_KEYS": "right-key", "EP_QUALITY_DB": str(tmp_path / "q.db")}
    key = {"authorization": "Bearer right-key"}
    with Proxy("--sandbox", env=env) as proxy:
        assert (await http.get(suites_url(proxy.url), headers=key)).status_code == 404
    assert not (tmp_path / "q.db").exists()
    with Proxy("--sandbox", "--quality", env=env) as proxy:
        url = suites_url(proxy.url)
        refused = await http.post(url, json=suite("run-1"), headers={"x-request-id": "asked-1"})
        assert (refused.status_code, refused.headers["x-request-id"]) == (401, "asked-1")
        assert proxy.decision("asked-1")["error"]["code"] == "invalid_api_key"
        assert (await http.post(url, json=suite("run-1"), headers=key)).status_code == 201
        assert (await http.get(f"{url}/run-1/gates", headers=key)).json()["passed"] is True
        chat = {"model": "architect", "messages": [{"role": "user", "content": "Hello"}]}
        answer = await http.post(f"{proxy.url}/v1/chat/completions", json=chat, headers=key)
        assert answer.status_code == 200


@pytest.mark.parametrize("how", ["--quality", "quality"])
def test_a_start_is_refused_where_the_file_or_the_gates_are_wrong(how: str, tmp_path: Path):
    command = ["serve", "--sandbox", how] if how == "--quality" else ["quality", "serve"]
    gates = tmp_path / "gates.yaml"
    gates.write_text("quality_gates:\n  sucess_rate: {threshold: 1, operator: '<'}\n")
    env = {"EP_QUALITY_DB": str(tmp_path / "q.db"), "EP_QUALITY_GATES": str(gates)}
    done = run_to_end(*command, "--port", "0", env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "gates.yaml:2: quality_gates.sucess_rate: unknown metric" in done.stderr
    (tmp_path / "q.db").write_bytes(b"no database " * 100)
    done = run_to_end(*command, "--port", "0", env={**env, "EP_QUALITY_GATES": ""})
    assert (done.returncode, done.stdout) == (1, "")
    assert "the database is damaged" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_head_request_has_no_body(quality: QualityServer, http: httpx.AsyncClient):
    answer = await http.head(f"{quality.url}/quality/gates")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_what_is_not_there_is_said_in_the_same_shape(
    quality: QualityServer, http: httpx.AsyncClient
):
    for method, path, status in (
        ("GET", "/quality", 404),
        ("GET", "/quality/projects/a%2Fb/suites", 404),
        ("DELETE", "/quality/projects", 405),
        ("PUT", "/quality/projects/shop/suites", 405),
    ):
        answer = await http.request(method, quality.url + path)
        assert answer.status_code == status
        assert json.loads(answer.content)["error"]["message"]
