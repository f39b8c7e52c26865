"""Bad input is refused with its place and what would be right, and harms nothing."""

import asyncio
import json
import resource
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.quality.errors import InvalidSuite
from proxy.quality.records import (
    MAX_DURATION,
    MAX_FACTS,
    MAX_MESSAGE,
    MAX_NAME,
    MAX_RESULTS,
    parse_suite,
    validated_suite,
)
from tests.quality.suites import result, suite, suites_url
from tests.serving import QualityServer


def of_result(**fields: Any) -> bytes:
    return json.dumps(suite("x", {**result(), **fields})).encode()


def of_suite(**fields: Any) -> bytes:
    return json.dumps(suite("x", **fields)).encode()


def raw(number: str) -> bytes:
    return of_result(duration_ms=12345).replace(b"12345", number.encode())


WRONG: dict[str, tuple[bytes, str | None, str]] = {
    "nothing": (b"", None, "not JSON"),
    "half": (of_suite()[:-1], None, "not JSON"),
    "list": (b"[]", None, "it must be an object"),
    "text": (b'"suite"', None, "it must be an object"),
    "deep": (b'{"results":' + b"[" * 100_000, None, "not JSON"),
    "no UTF-8": (b'{"name": "\xff"}', None, "not JSON"),
    "lone surrogate": (b'{"name": "\\ud800"}', None, "not JSON"),
    "no name": (b'{"id": "x"}', "name", "`name` is missing"),
    "number as name": (of_suite(name=3), "name", "it must be text"),
    "empty name": (of_suite(name=""), "name", "at least 1 character"),
    "long name": (of_suite(name="x" * (MAX_NAME + 1)), "name", f"at most {MAX_NAME}"),
    "NUL in a name": (of_suite(name="a\0b"), "name", "without control characters"),
    "unknown field": (of_suite(nmae="x"), "nmae", "Did you mean `name`?"),
    "id with a slash": (of_suite(id="../x"), "id", "letters, digits"),
    "id with a line end": (of_suite(id="x\n"), "id", "letters, digits"),
    "SQL as id": (of_suite(id="x'; DROP TABLE suites; --"), "id", "letters, digits"),
    "long id": (of_suite(id="x" * 129), "id", "at most 128"),
    "null id": (of_suite(id=None), "id", "it must be text"),
    "results of another kind": (of_suite(results={"a": 1}), "results", "it must be a list"),
    "result of another kind": (of_suite(results=[1]), "results[0]", "it must be an object"),
    "unknown status": (of_result(status="ok"), "results[0].status", "'passed', 'failed'"),
    "unknown result field": (of_result(time=1), "results[0].time", "is no field"),
    "NaN": (raw("NaN"), None, "not JSON"),
    "Infinity": (raw("-Infinity"), None, "not JSON"),
    "larger than any number": (raw("1e999"), "results[0].duration_ms", "finite"),
    "negative": (raw("-0.1"), "results[0].duration_ms", "greater than or equal to 0"),
    "more than a year": (raw(str(MAX_DURATION + 1)), "results[0].duration_ms", "less than"),
    "text as number": (raw('"5"'), "results[0].duration_ms", "a valid number"),
    "switch as number": (raw("true"), "results[0].duration_ms", "a valid number"),
    "long message": (of_result(message="x" * (MAX_MESSAGE + 1)), "results[0].message", "at most"),
    "number as moment": (of_suite(started_at=1732968000), "started_at", "with its offset"),
    "moment without offset": (
        of_suite(started_at="2026-11-30T12:00:00"),
        "started_at",
        "with its offset",
    ),
    "moment outside": (
        of_suite(ended_at="9999-12-31T23:59:59-05:00"),
        "ended_at",
        "outside the years",
    ),
    "ends before it began": (
        of_suite(started_at="2026-11-30T12:00:02Z"),
        None,
        "`ended_at` lies before `started_at`",
    ),
    "number as fact": (of_suite(environment={"a": 1}), "environment.a", "it must be text"),
    "too many facts": (
        of_suite(environment={str(i): "" for i in range(MAX_FACTS + 1)}),
        "environment",
        f"more than {MAX_FACTS} facts",
    ),
    "too many results": (
        b'{"name":"x","results":[' + b"1," * MAX_RESULTS + b"1]}",
        "results",
        "Submit it in parts",
    ),
    "another project": (of_suite(project="other"), "project", "Submit it there"),
    "no project": (of_suite(project="a b"), "project", "letters, digits"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_suite_is_refused_with_its_place(
    case: str, quality: QualityServer, http: httpx.AsyncClient
):
    body, param, said = WRONG[case]
    url = suites_url(quality.url, "hostile")
    answer = await http.post(url, content=body, headers={"content-type": "application/json"})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error"), answer.text
    assert error["param"] == param
    assert said in error["message"]
    assert len(answer.content) < 4000
    assert (await http.get(url)).json()["suites"] == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":"x",' + b",".join(b'"%d":1' % i for i in range(300_000)) + b"}",
        b'{"name":"x","results":[' + b",".join([b'{"a":1,"b":2}'] * MAX_RESULTS) + b"]}",
        b'{"name":"x","results":[{' + b",".join(b'"%d":1' % i for i in range(300_000)) + b"}]}",
        b'{"name":"x","environment":{' + b",".join(b'"%d":1' % i for i in range(300_000)) + b"}}",
        b'{"name":"x","results":[' + b",".join([b"1"] * 2_000_000) + b"]}",
    ],
    ids=["fields", "results", "fields of a result", "facts", "numbers"],
)
def test_the_memory_of_a_refusal_is_a_small_multiple_of_the_body(body: bytes):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidSuite) as caught:
        parse_suite(body, "shop")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    # An error for each place took hundreds of bytes for each of the body's.
    assert grown < 64 * len(body) + 32 * 1024 * 1024
    assert len(str(caught.value)) < 3000


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("before=-1", "before"),
        ("before=9223372036854775808", "before"),
        ("name=", "name"),
        ("lmit=3", "lmit"),
    ],
)
async def test_a_wrong_query_is_refused(
    query: str, param: str, quality: QualityServer, http: httpx.AsyncClient
):
    answer = await http.get(f"{suites_url(quality.url, 'hostile')}?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("project", ["a'b", "a b", "..", "-a", "a%00", "x" * 129, "%0aFAKE"])
async def test_a_wrong_project_is_refused(
    project: str, quality: QualityServer, http: httpx.AsyncClient
):
    answer = await http.get(suites_url(quality.url, project).replace("/..", "/%2e%2e"))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "project")
    # What a client sends begins no line of the log.
    assert all(line["event"] == "log" for line in quality.lines())


async def test_bodies_have_the_limits_of_the_proxy(tmp_path: Path, http: httpx.AsyncClient):
    env = {"EP_MAX_BODY_BYTES": "2000", "EP_BODY_TIMEOUT": "0.5"}
    with QualityServer(tmp_path / "q.db", env=env) as server:
        url = suites_url(server.url)
        large = await http.post(url, json=suite("x", *[result()] * 100))
        assert (large.status_code, large.json()["error"]["code"]) == (413, "request_too_large")
        form = await http.post(url, data={"name": "x"})
        assert form.status_code == 415
        packed = await http.post(
            url, content=b"x", headers={"content-encoding": "gzip", "content-type": "text/json"}
        )
        assert packed.status_code == 415

        head = f"POST {url.partition(str(server.port))[2]} HTTP/1.1\r\nhost: x\r\n"
        head += "content-type: application/json\r\ncontent-length: 100\r\n\r\n{"
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head.encode())
        assert b" 408 " in await asyncio.wait_for(reader.readline(), 20)
        writer.close()
        assert (await http.post(url, json=suite("x"))).status_code == 201


async def test_a_damaged_file_is_told_clearly_and_the_server_lives(
    tmp_path: Path, http: httpx.AsyncClient
):
    database = tmp_path / "q.db"
    with QualityServer(database) as server:
        for number in range(40):
            body = suite(f"run-{number}", *[result(name=f"test {i}") for i in range(100)])
            assert (await http.post(suites_url(server.url), json=body)).status_code == 201
        # At its end it leaves no write-ahead log behind.
        server.stop()
        assert not database.with_name("q.db-wal").exists()
    size = database.stat().st_size
    with database.open("r+b") as file:
        # All but the first page, which says what the file is.
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    with QualityServer(database) as server:
        url = suites_url(server.url)
        for answer in (await http.get(url), await http.post(url, json=suite("new"))):
            assert answer.status_code == 500
            error = answer.json()["error"]
            assert error["code"] == "quality_store_error"
            assert "the database is damaged" in error["message"]
            assert ".recover" in error["message"]
        assert (await http.get(f"{server.url}/healthz")).status_code == 200
        assert server.tracebacks() == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, "5", True])
def test_what_is_made_in_python_is_checked_as_well(value: Any):
    with pytest.raises(InvalidSuite):
        validated_suite(suite("x", {**result(), "duration_ms": value}), "shop")
