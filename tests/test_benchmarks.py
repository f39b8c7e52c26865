"""The benchmark works: it measures, and it fails loudly where there is nothing to measure."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import layers, report, work
from tests.benchmarks.__main__ import repeatable
from tests.benchmarks.bars import BARS, judged
from tests.benchmarks.measure import Bench, Load, Rows, Target
from tests.benchmarks.parts import Plan
from tests.benchmarks.processes import Cores, cpu_seconds, family
from tests.benchmarks.programs import Programs, build, compiler
from tests.benchmarks.runner import WrongAnswers, check_upstream
from tests.benchmarks.work import APIS, MARK, Api, Work
from tests.serving import ROOT

FORMS = ["native", "python"] if compiler() else ["python"]
"""Without a compiler the Python forms are what runs: there is nothing else to test then."""


@pytest.fixture(scope="module", params=FORMS)
def programs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return build(tmp_path_factory.mktemp("programs"), native=request.param == "native")


def bench_on(programs: Programs, folder: Path, broken: str = "") -> Bench:
    return Bench(programs, folder, Cores(), rounds=1, seconds=0.3, broken=broken)


@pytest.fixture
def bench(programs: Programs, tmp_path: Path) -> Iterator[Bench]:
    with bench_on(programs, tmp_path) as bench:
        yield bench


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks", "--systems", "ours", *arguments]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, check=False, timeout=110
    )


# --- the whole command -----------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_the_smallest_measurement_of_our_server(form: str, tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    arguments = ["--quick", "--only", "requests", "--apis", "anthropic", "--seconds", "0.5"]
    if form == "python":
        arguments.append("--no-native")
    done = run(*arguments, "--output", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(file.read_text())
    assert results["versions"].keys() == {"ours"}
    told = {(r["system"], r["size"], r["connections"]) for r in results["rows"]}
    loads = (("small", 1), ("small", 64), ("large", 64))
    assert told == {(system, *load) for system in ("direct", "ours") for load in loads}
    for row in results["rows"]:
        assert row["part"] == "requests" and row["api"] == "anthropic"
        assert row["answers"] > 0 and row["per_second"] >= 0
        assert row["latency_ms"].keys() == {"p50", "p95", "p99"}
        assert (row["added_ms"] is None) == (row["system"] == "direct")
        assert row["cpu_us"] > 0 if row["system"] == "ours" else row["cpu_us"] is None
    assert [bar["what"] for bar in results["bars"]] == [bar.what for bar in BARS]
    spread = next(bar for bar in results["bars"] if "dearest" in bar["what"])
    assert spread["measured"] >= 1 and spread["met"] in ("goal", "bar", "no")
    assert "The bars" in done.stdout and "CPU µs/request" in done.stdout
    assert ("in Python" in done.stdout) == (form == "python")


def test_an_upstream_that_only_fails_ends_it_with_an_error(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    done = run("--broken", "status", "--output", str(file))
    assert done.returncode == 1
    assert "nothing can be measured" in done.stderr and "status 500" in done.stderr
    assert not file.exists()


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--only", "request", "requests"),
        ("--systems", "apache", "nginx"),
        ("--apis", "x", "openai"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_ones(option: str, value: str, says: str) -> None:
    done = run(option, value)
    assert done.returncode == 1 and value in done.stderr and says in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_it_ends_what_it_started(number: signal.Signals, tmp_path: Path) -> None:
    arguments = command("--only", "soak", "--soak", "60", "--output", str(tmp_path / "r.json"))
    with subprocess.Popen(
        arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as bench:
        assert bench.stderr is not None
        for line in bench.stderr:
            if "soak: 0 of" in line:
                break
        deadline = time.monotonic() + 20
        # The upstream, our server, the load.
        while len(started := family(bench.pid)) < 4 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(started) >= 4
        bench.send_signal(number)
        bench.communicate(timeout=30)
    statuses = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}
    assert bench.returncode == statuses[number]
    while any(map(alive, started)) and time.monotonic() < deadline + 20:
        time.sleep(0.05)
    assert not any(map(alive, started))


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


# --- the upstream and the load generator -----------------------------------------------------


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("stream", [False, True])
def test_the_upstream_answers_to_the_letter(
    bench: Bench, api: Api, size: work.Size, stream: bool
) -> None:
    assert bench.direct.ask(Work(stream=stream, size=size, chunks=3, text=500), api) is None


@pytest.mark.skipif(len(FORMS) < 2, reason="there is one form here: no C compiler")
def test_both_forms_of_the_upstream_say_the_same(tmp_path: Path) -> None:
    said: list[list[bytes]] = []
    for form in FORMS:
        folder = tmp_path / form
        with bench_on(build(folder, native=form == "native"), folder) as bench:
            said.append([raw(bench, api, stream=s) for api in APIS for s in (False, True)])
    native, python = said
    assert native == python


def raw(bench: Bench, api: Api, *, stream: bool) -> bytes:
    job = Work(stream=stream, chunks=3, gap=1)
    connection = HTTPConnection("127.0.0.1", bench.upstream, timeout=10)
    connection.request("POST", job.path(api, "m"), job.body(api, "m"))
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return (MARK.sub("MARK", text) + str(answer.headers["content-type"])).encode()


@pytest.mark.parametrize(
    ("broken", "stream", "says"),
    [
        ("status", False, "another status than 200"),
        ("status", True, "another status than 200"),
        ("cut", False, "closed in the middle"),
        ("cut", True, "closed in the middle"),
        ("short", False, "not as many pieces of text"),
        ("short", True, "not as many pieces of text"),
        ("endless", True, "no end where it should be"),
    ],
)
def test_every_kind_of_wrong_answer_is_a_fault(
    programs: Programs, tmp_path: Path, broken: str, stream: bool, says: str
) -> None:
    with bench_on(programs, tmp_path, broken) as bench:
        target = Target(bench.direct, "anthropic")
        job = Work(stream=stream, chunks=4)
        sample = bench.load(target, job, Load(connections=2, requests=10, warm_up=0))
        assert sample.fault is not None and says in sample.fault
        assert sample.load["failed"] == 10 and sample.load["all_answers"] == 0
        with pytest.raises(WrongAnswers, match="direct → OpenAI"):
            check_upstream(bench, Plan(quick=True, soak=1, streams=1, rates=(), peers=()))


def test_what_is_counted(bench: Bench) -> None:
    target = Target(bench.direct, "openai")
    job = Work(stream=True, chunks=7, gap=5)
    sample = bench.load(target, job, Load(connections=3, requests=30, warm_up=0, seconds=20))
    assert sample.fault is None and sample.cpu is None
    assert (sample.load["all_answers"], sample.load["all_chunks"]) == (30, 210)
    assert sample.load["connections"] == 3, "connections are kept"
    assert sample.load["transit_ms"]["count"] == 210
    # Six pauses of 5 ms from the first piece to the last; timers may wake a millisecond early.
    assert sample.load["latency_ms"]["least"] > 25
    seen = bench.seen()
    assert (seen["requests"], seen["chunks"], seen["aborted"]) == (30, 210, 0)
    assert seen["answering"] == 0


def test_streams_are_open_at_once_and_counted(bench: Bench) -> None:
    target = Target(bench.direct, "gemini")
    most = [0]

    def watch() -> None:
        most[0] = max(most[0], bench.seen()["answering"])

    job = Work(stream=True, chunks=4, gap=500)
    load = Load(connections=50, requests=50, warm_up=0, ramp=0.2, seconds=20)
    assert bench.load(target, job, load, watch).fault is None
    assert most[0] == 50


def test_an_open_loop_counts_from_when_a_request_was_due(bench: Bench) -> None:
    # 20 a second are due on one connection that takes 0.2 s for each: the fifth is due at
    # 0.2 s and sent at 0.8 s. As a closed loop would count it, it took no longer than the first.
    target = Target(bench.direct, "openai")
    job = Work(stream=True, chunks=2, gap=200)
    sample = bench.load(target, job, Load(rate=20, seconds=1, warm_up=0))
    assert sample.fault is None
    assert sample.load["latency_ms"]["most"] > 600
    assert sample.load["unsent"] > 0


# --- the processes, the bars, the page -------------------------------------------------------


def test_cpu_time_is_that_of_the_process() -> None:
    before, own = cpu_seconds([os.getpid()]), time.process_time()
    while time.process_time() < own + 0.05:
        pass
    used = time.process_time() - own
    assert cpu_seconds([os.getpid()]) - before == pytest.approx(used, rel=0.5)


def rows(ours: float, litellm: float) -> Rows:
    row: dict[str, Any] = {"part": "requests", "api": "anthropic", "size": "small"}
    row["connections"] = 64
    return [{**row, "system": n, "cpu_us": v} for n, v in (("ours", ours), ("LiteLLM", litellm))]


@pytest.mark.parametrize(
    ("litellm", "met"), [(2499.0, "no"), (2500.0, "bar"), (7999.0, "bar"), (8000.0, "goal")]
)
def test_a_bar_is_met_from_its_value_on(litellm: float, met: str) -> None:
    first, *others = judged(rows(100, litellm))
    assert (first["measured"], first["met"]) == (litellm / 100, met)
    assert {bar["met"] for bar in others} == {None}


def test_a_faulty_row_reaches_no_bar() -> None:
    faulty = rows(100, 8000)
    faulty[0]["fault"] = "status 500"
    assert judged(faulty)[0]["met"] is None
    assert "FAILED: status 500" in str(report.part_table("requests", faulty))


def results(found: Rows) -> dict[str, Any]:
    machine = {"cpu": "c", "cores": 2, "kernel": "k", "python": "3", "load_average": [0.1, 0.2]}
    return {
        "begun": "2026-11-30T10:00:00+00:00",
        "commit": "abc",
        "machine": machine,
        "versions": {"ours": "1"},
        "warnings": [],
        "options": {"arguments": "--only requests", "rounds": 1, "seconds": 1},
        "rows": found,
        "bars": judged(found),
    }


def test_results_go_between_the_markers_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write_into(page, results(rows(100, 2600)))
    once = page.read_text()
    assert once.startswith(f"before\n{report.BEGIN}\n") and once.endswith("-->\nafter\n")
    assert "old" not in once and "| 26.0 | ≥ 25 | ≥ 80 | bar |" in once
    assert 'make bench BENCH_ARGS="--only requests"' in once
    report.write_into(page, results(rows(100, 2600)))
    assert page.read_text() == once
    page.write_text("no markers")
    with pytest.raises(ValueError, match="needs the lines"):
        report.write_into(page, results([]))


def test_the_command_on_the_page_names_no_place_of_a_machine() -> None:
    words = ["--quick", "--output", "here/r.json", "--readme", "--peers=there", "--only", "rate"]
    assert repeatable(words) == "--quick --only rate"


def test_the_page_has_its_markers() -> None:
    text = (ROOT / "tests" / "benchmarks" / "README.md").read_text()
    assert text.count(report.BEGIN) == text.count(report.END) == 1


RUNNER = "Runner.run (asyncio/runners.py:118)"


def test_a_sample_counts_for_the_innermost_frame_of_a_layer() -> None:
    raw = [
        "<module> (proxy/__main__.py:5);Runner.run (asyncio/runners.py:118);"
        "RequestMiddleware.__call__ (proxy/middleware.py:120);weigh (policy/decision.py:101);"
        "__hash__ (enum.py:1) 7",
        "_run (proxy/decision_log.py:90);wait (threading.py:320) 900",
    ]
    (ours, seven), (others, _) = layers.samples(raw)
    assert seven == 7
    assert layers.layer_of(ours) == ("decision and persona", "weigh (policy/decision.py)")
    assert layers.layer_of(others)[0] == layers.OTHERS


@pytest.mark.parametrize(
    ("file", "layer"),
    [
        ("proxy/answering.py", "uvicorn, and the connection of the client"),
        ("proxy/engine.py", "engine and attempts"),
        ("proxy/http_client/connection.py", "transport to the provider"),
        ("proxy/telemetry/metrics/numbers.py", "metrics"),
        ("proxy/telemetry/export/encoding.py", "spans"),
        ("proxy/decisions/record.py", "record and line of the request"),
        ("translators/anthropic_messages/request.py", "translation of the request"),
        ("translators/anthropic_messages/stream.py", "translation of the answer"),
        ("translators/wire/request.py", "validation of the request"),
        ("asyncio/runners.py", "event loop: waiting, system calls of others"),
        ("asyncio/tasks.py", "tasks and timers"),
    ],
)
def test_a_file_belongs_to_a_layer(file: str, layer: str) -> None:
    assert layers.layer_of([RUNNER, f"anything ({file}:1)"])[0] == layer


@pytest.mark.parametrize(
    ("frames", "layer"),
    [
        (
            ["with_parameters (policy/personas.py:1)", "model_copy (pydantic/main.py:1)"],
            "decision and persona",
        ),
        (
            ["to_native (translators/openai_chat/request.py:1)"]
            + ["to_wire (translators/wire/request.py:1)", "model_dump (pydantic/main.py:1)"],
            "translation of the request",
        ),
        (
            ["put (proxy/telemetry/export/delivery.py:1)", "set (threading.py:1)"],
            "spans",
        ),
        (
            ["handle (translators/openai_responses/stream.py:1)"]
            + ["reason (translators/openai_responses/thinking.py:1)"],
            "translation of the answer",
        ),
    ],
)
def test_what_is_used_by_several_counts_for_its_caller(frames: list[str], layer: str) -> None:
    assert layers.layer_of([RUNNER, *frames])[0] == layer


def test_a_sampler_that_saw_nothing_is_no_table() -> None:
    with pytest.raises(SystemExit, match="saw nothing"):
        layers.show(["_run (proxy/decision_log.py:90) 5"], 300, 0)


def test_without_its_sampler_the_profile_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["layers"])
    monkeypatch.setenv("PATH", "")
    assert layers.main() == 2
    assert "pip install py-spy" in capsys.readouterr().err
