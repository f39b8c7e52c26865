"""Lines of the log: of any text one line, and none that is lost without a word."""

import json
import logging
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from proxy import decision_log
from proxy.decision_log import DecisionLog, LineWriter
from proxy.decisions.record import refused
from proxy.logs.context import SERVING, Serving
from proxy.logs.lines import LogFormat, as_ascii, clock, format_for, json_line, printable
from proxy.logs.records import JsonLines, TextLines, logging_config
from proxy.telemetry.spans import NO_TELEMETRY
from translators.errors import InvalidRequest


@pytest.fixture
def writer_to_a_pipe() -> Iterator[tuple[LineWriter, int]]:
    reading, writing = os.pipe()
    writer = LineWriter(writing)
    try:
        yield writer, reading
    finally:
        writer.close(10)
        os.close(reading)
        os.close(writing)


ODD = ["a\nb", "\r", "\x00", "\x1b[2J", "\x7f", "\x85", "\x9b", "\u2028", "\u202e", "\ud800", "ü"]


@pytest.mark.parametrize("text", ODD)
def test_any_text_is_one_line_of_ascii_in_json(text: str) -> None:
    line = json_line({"x": text})
    assert line.endswith(b"}\n")
    assert line[:-1].decode("ascii").isprintable()
    assert json.loads(line) == {"x": text}


@pytest.mark.parametrize("text", [text for text in ODD if text != "\ud800"])
def test_json_that_stands_already_becomes_ascii(text: str) -> None:
    data = json.dumps({"x": text}, ensure_ascii=False, separators=(",", ":")).encode()
    made = as_ascii(data)
    assert made.decode("ascii").isprintable()
    assert json.loads(made) == {"x": text}
    assert as_ascii(b'{"x":1.5}') == b'{"x":1.5}'


@pytest.mark.parametrize("text", ODD)
def test_any_text_is_one_line_for_people(text: str) -> None:
    assert printable(text).isprintable()
    assert printable("ü") == "ü"
    assert printable("a\nb\u2028") == "a\\nb\\u2028"


def test_the_format() -> None:
    reading, writing = os.pipe()
    ours, terminal = os.openpty()
    try:
        assert format_for("auto", writing) == "json"
        assert format_for("auto", terminal) == "text"
        assert format_for("text", writing) == "text"
        assert format_for("json", terminal) == "json"
    finally:
        for descriptor in (reading, writing, ours, terminal):
            os.close(descriptor)


def test_the_clock_is_local_and_to_the_millisecond() -> None:
    now = 1_796_000_000.5
    assert clock(now) == time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now)) + ".500"


def _record(
    message: str, *arguments: object, error: BaseException | None = None
) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error is not None else None
    return logging.LogRecord("a.b", logging.ERROR, "f.py", 3, message, arguments, info)


def _raised() -> BaseException:
    try:
        try:
            raise ValueError("secret cause")
        except ValueError as error:
            raise ConnectionRefusedError(111, "secret") from error
    except OSError as error:
        return error


def test_a_record_in_json() -> None:
    line = JsonLines().format(_record("x %s\n", "y\nz", error=_raised()))
    assert line.count("\n") == 1
    told = json.loads(line)
    assert list(told) == ["time", "event", "level", "logger", "message", "exception"]
    assert (told["event"], told["level"], told["logger"]) == ("log", "error", "a.b")
    assert told["message"] == "x y\nz"
    assert told["exception"]["type"] == "builtins.ConnectionRefusedError"
    assert told["exception"]["errno"] == "ECONNREFUSED"
    assert told["exception"]["traceback"][0]["function"] == "_raised"
    assert told["exception"]["behind"][0]["type"] == "builtins.ValueError"
    assert "secret" not in line


def test_a_record_for_people() -> None:
    first, *rest = TextLines().format(_record("x %s", "y\nz", error=_raised())).splitlines()
    assert first.endswith(" ERROR a.b: x y\\nz")
    assert all(line.startswith("  ") for line in rest)
    assert "  Traceback (most recent call last) of builtins.ConnectionRefusedError" in rest[0]
    assert rest[-2] == "  behind it: Traceback (most recent call last) of builtins.ValueError"
    assert "secret" not in "".join(rest)


def test_exceptions_without_end_are_told_within_bounds() -> None:
    error: BaseException = ValueError("0")
    for number in range(100):
        group = ExceptionGroup(str(number), [ValueError("x"), ValueError("y")])
        group.__cause__ = error
        error = group
    error.__context__ = error.__cause__
    told = json.loads(JsonLines().format(_record("x", error=error)))
    assert len(told["exception"]["behind"]) == 5
    circle = ValueError("a")
    circle.__context__ = KeyError("b")
    circle.__context__.__context__ = circle
    told = json.loads(JsonLines().format(_record("x", error=circle)))
    assert [one["type"] for one in told["exception"]["behind"]] == ["builtins.KeyError"]


def test_a_message_has_an_end() -> None:
    told = json.loads(JsonLines().format(_record("m" * 100_000)))
    assert len(told["message"]) == 8193


def test_what_goes_on_after_a_request_is_not_about_it() -> None:
    span = NO_TELEMETRY.request({})
    serving = Serving("r1", span)
    token = SERVING.set(serving)
    try:
        assert json.loads(JsonLines().format(_record("x")))["request_id"] == "r1"
        assert TextLines().format(_record("x")).endswith("x request_id=r1\n")
        serving.end()
        assert "request_id" not in json.loads(JsonLines().format(_record("x")))
    finally:
        SERVING.reset(token)


def test_libraries_never_tell_what_they_do_in_detail() -> None:
    found = logging_config("debug", "json")
    assert found["root"]["level"] == "INFO"
    assert found["loggers"]["execution_platform"]["level"] == "DEBUG"
    # Its propagators would repeat callers' headers.
    assert found["loggers"]["opentelemetry"] == {"level": "ERROR"}
    assert logging_config("error", "json")["root"]["level"] == "ERROR"


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_lines_that_nobody_reads_are_dropped_and_counted(
    log_format: LogFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision_log, "MOST_WAITING", 5)
    reading, writing = os.pipe()
    writer = LineWriter(writing, log_format)
    log = DecisionLog(writer.write, log_format)
    record = refused("r1", None, trace_id=None, status=400, error=InvalidRequest("no"))
    got: list[bytes] = []
    # The pipe holds some hundred, five wait, and the rest finds no place.
    for _ in range(3000):
        log.write(record)

    def read() -> None:
        while data := os.read(reading, 65536):
            got.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    deadline = time.monotonic() + 20
    while b"dropped" not in b"".join(got):
        assert time.monotonic() < deadline
        time.sleep(0.01)
        log.write(record)
    writer.close(10)
    os.close(writing)
    reader.join(10)
    os.close(reading)
    lines = b"".join(got).decode().splitlines()
    (told,) = [line for line in lines if "dropped" in line][:1]
    if log_format == "json":
        found = json.loads(told)
        assert list(found) == ["time", "event", "decision_log_lines_dropped"]
        assert found["event"] == "dropped"
        assert found["decision_log_lines_dropped"] > 100
        assert {json.loads(line)["event"] for line in lines} == {"request", "dropped"}
    else:
        assert " WARNING " in told
        assert int(told.split()[3]) > 100


def test_a_line_names_the_first_of_many_parameters_and_stays_short():
    error = InvalidRequest("It is wrong.")
    record = refused("req_1", None, trace_id=None, status=400, error=error)
    paths = [f"{number}-" + "x" * 500 for number in range(300)]
    lines: list[bytes] = []
    log = DecisionLog(lines.append)
    log.write(msgspec.structs.replace(record, ignored=paths, emulated=["seed"]))
    told = json.loads(lines[0])
    assert told["ignored"] == [*(path[:80] for path in paths[:10]), "… 290 more"]
    assert told["emulated"] == ["seed"]
    # What a pipe takes in one piece, whoever else writes to it.
    assert len(lines[0]) < 4096


def test_lines_of_a_moment_are_written_together_and_none_is_torn() -> None:
    # Of such a socket one read returns what one write gave.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        writer = LineWriter(theirs.fileno())
        short = [b"%d " % number + b"s" * 300 + b"\n" for number in range(60)]
        long = [b"long " + b"x" * size + b"\n" for size in (select.PIPE_BUF - 6, 3 * 4096)]
        lines = [*short[:30], *long, *short[30:]]
        for line in lines:
            writer.write(line)
        writer.close(10)
        theirs.shutdown(socket.SHUT_WR)
        pieces = list(iter(lambda: ours.recv(1 << 16), b""))
    assert b"".join(pieces) == b"".join(lines)
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert all(len(piece) <= select.PIPE_BUF for piece in pieces if piece not in long)
    # Thirteen of the short ones fit into a piece; a moment may end between any two.
    assert long[1] in pieces
    assert len(pieces) < len(lines) // 2


def test_a_line_is_written_though_no_other_comes(writer_to_a_pipe: tuple[LineWriter, int]) -> None:
    writer, reading = writer_to_a_pipe
    for number in range(50):
        line = b"%d\n" % number
        writer.write(line)
        assert os.read(reading, 100) == line


def test_close_writes_what_waits(writer_to_a_pipe: tuple[LineWriter, int]) -> None:
    writer, reading = writer_to_a_pipe
    for _ in range(100):
        writer.write(b"line\n")
    writer.close(10)
    assert os.read(reading, 4096) == b"line\n" * 100


def test_lines_of_several_threads_are_all_written(writer_to_a_pipe: tuple[LineWriter, int]) -> None:
    writer, reading = writer_to_a_pipe
    each = [b"%d\n" % number for number in range(1000)]

    def write() -> None:
        for line in each:
            writer.write(line)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    got = b""
    while got.count(b"\n") < 4000:
        got += os.read(reading, 65536)
    for thread in threads:
        thread.join()
    assert sorted(got.splitlines(keepends=True)) == sorted(each * 4)


def test_a_line_that_comes_after_the_end_is_written_all_the_same(tmp_path: Path) -> None:
    """A server that is forced to its end may close the log before its last requests are over."""
    file = tmp_path / "log"
    with file.open("wb") as out:
        writer = LineWriter(out.fileno())
        writer.write(b"one\n")
        writer.close()
        writer.write(b"two\n")
        writer.write(b"three\n")
    assert file.read_bytes() == b"one\ntwo\nthree\n"


def test_a_pipe_that_refuses_to_block_loses_nothing() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    writer = LineWriter(writing)
    lines = [b"%05d %s\n" % (number, b"x" * 90) for number in range(5000)]
    got = bytearray()

    def read() -> None:
        time.sleep(0.1)
        while len(got) < len(b"".join(lines)) and (piece := os.read(reading, 65536)):
            got.extend(piece)

    reader = threading.Thread(target=read)
    reader.start()
    for line in lines:
        writer.write(line)
    reader.join(10)
    writer.close()
    os.close(reading)
    os.close(writing)
    assert bytes(got) == b"".join(lines)
