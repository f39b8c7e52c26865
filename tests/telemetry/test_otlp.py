"""The way to the collector: variables, HTTP with all that lies between, and gRPC."""

import base64
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from importlib.util import find_spec
from threading import Thread
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from proxy.telemetry.export import otlp
from proxy.telemetry.export.answers import Answer
from proxy.telemetry.export.connect import exporter_for
from proxy.telemetry.export.otlp import OtlpSettings, otlp_settings
from proxy.telemetry.setup import check_telemetry
from proxy.telemetry.variables import TelemetryError
from tests.telemetry.collector import Collector, Said, certificate, partial
from tests.telemetry.grpc_sink import GrpcSink, Refusal

CANARY = "canary-33b1"
BODY = ExportTraceServiceRequest().SerializeToString()


@pytest.fixture(autouse=True)
def no_forward_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def named(**variables: str) -> dict[str, str]:
    return {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in variables.items()}


def sent(body: bytes = BODY, seconds: float = 5, **variables: str) -> Answer:
    """Send an export as the variables have it."""
    exporter = exporter_for(otlp_settings(named(**variables)))
    try:
        return exporter.send(body, seconds)
    finally:
        exporter.close()


@pytest.mark.parametrize(
    ("ours", "url"),
    [
        ({}, "http://localhost:4318/v1/traces"),
        ({"ENDPOINT": "https://c.test:4318"}, "https://c.test:4318/v1/traces"),
        ({"ENDPOINT": "https://c.test/otlp/"}, "https://c.test/otlp/v1/traces"),
        ({"TRACES_ENDPOINT": "https://c.test/t", "ENDPOINT": "https://d.test"}, "https://c.test/t"),
        ({"TRACES_ENDPOINT": "", "ENDPOINT": "https://d.test"}, "https://d.test/v1/traces"),
        ({"PROTOCOL": "grpc"}, "http://localhost:4317"),
        ({"PROTOCOL": "grpc", "ENDPOINT": "http://c.test:4317/path"}, "http://c.test:4317"),
        ({"PROTOCOL": "grpc", "ENDPOINT": "https://[::1]"}, "https://[::1]:443"),
        ({"PROTOCOL": "grpc", "ENDPOINT": "c.test:4317"}, "https://c.test:4317"),
        (
            {"PROTOCOL": "grpc", "ENDPOINT": "c.test:4317", "INSECURE": "true"},
            "http://c.test:4317",
        ),
        ({"PROTOCOL": "http/protobuf", "TRACES_PROTOCOL": "grpc"}, "http://localhost:4317"),
    ],
)
def test_where_it_goes(ours: dict[str, str], url: str):
    assert otlp_settings(named(**ours)).endpoint == url


@pytest.mark.parametrize(
    ("ours", "headers"),
    [
        ({}, {}),
        ({"HEADERS": "Authorization=Bearer%20a%3D,x=1"}, {"authorization": "Bearer a=", "x": "1"}),
        ({"HEADERS": "authorization=Basic abc=="}, {"authorization": "Basic abc=="}),
        ({"HEADERS": " a = 1 , ,c=%2C"}, {"a": "1", "c": ","}),
        ({"HEADERS": "a=1", "TRACES_HEADERS": "b=2"}, {"b": "2"}),
    ],
)
def test_the_operators_headers(ours: dict[str, str], headers: dict[str, str]):
    settings = otlp_settings(named(**ours))
    assert settings.headers == headers
    assert not headers or str(headers) not in repr(settings)


def test_a_variable_for_traces_wins():
    ours = named(
        COMPRESSION="gzip", TRACES_COMPRESSION="none", TIMEOUT="3", TRACES_TIMEOUT="1.5",
        CERTIFICATE=__file__, TRACES_CERTIFICATE=str(certificate()),
    )  # fmt: skip
    settings = otlp_settings(ours)
    assert (settings.gzip, settings.seconds) == (False, 1.5)
    assert settings.certificate == str(certificate())
    assert otlp_settings({}) == OtlpSettings("http/protobuf", "http://localhost:4318/v1/traces")


@pytest.mark.parametrize(
    ("ours", "words"),
    [
        ({"ENDPOINT": "collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT is not the URL"),
        ({"ENDPOINT": f"ftp://{CANARY}"}, "is not the URL"),
        ({"ENDPOINT": f"http://u:{CANARY}/x@c"}, "is not the URL"),
        ({"TRACES_ENDPOINT": "nowhere"}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://localhost:43"),
        ({"PROTOCOL": "http/json"}, "`http/protobuf` on port 4318 and `grpc` on port 4317"),
        ({"HEADERS": f"a=1,{CANARY}"}, "OTEL_EXPORTER_OTLP_HEADERS: entry 2 is not"),
        ({"TRACES_HEADERS": f"a={CANARY}%0d%0ax: y"}, "OTEL_EXPORTER_OTLP_TRACES_HEADERS: entry 1"),
        ({"HEADERS": f"a b={CANARY}"}, "entry 1"),
        ({"HEADERS": f"a={CANARY}%E2%82%AC"}, "entry 1"),
        ({"TIMEOUT": "soon"}, "OTEL_EXPORTER_OTLP_TIMEOUT is `soon`; it must be a number"),
        ({"TIMEOUT": "0"}, "it must be a number"),
        ({"COMPRESSION": "brotli"}, "known are `gzip` and `none`"),
        ({"PROTOCOL": "grpc", "ENDPOINT": "c:1", "INSECURE": "yes"}, "must be `true` or `false`"),
        ({"CERTIFICATE": "/nowhere.pem"}, "`/nowhere.pem`, where there is no file"),
        ({"CLIENT_KEY": __file__}, "is of no use without"),
    ],
)
def test_what_is_wrong_stops_the_start_and_tells_no_secret(ours: dict[str, str], words: str):
    environment = {"OTEL_TRACES_EXPORTER": "otlp", **named(**ours)}
    with pytest.raises(TelemetryError) as raised:
        check_telemetry(environment)
    assert words in str(raised.value)
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "otlp,none"),
        ("OTEL_TRACES_EXPORTER", "console,zipkin"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "-1"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1.5"),
        ("OTEL_BSP_SCHEDULE_DELAY", "x"),
        ("OTEL_TRACES_SAMPLER", "x"),
    ],
)
def test_so_does_any_other_variable(name: str, value: str):
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c.test", name: value}
    with pytest.raises(TelemetryError, match=name):
        check_telemetry(environment)
    check_telemetry({**environment, "OTEL_SDK_DISABLED": "true"})


def test_without_grpcio_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    def without(name: str) -> Any:
        return None if name == "grpc" else find_spec(name)

    monkeypatch.setattr(otlp, "find_spec", without)
    with pytest.raises(TelemetryError, match=r"pip install 'execution-platform\[otlp-grpc\]'"):
        otlp_settings(named(PROTOCOL="grpc"))


def test_a_host_that_is_not_known_may_be_so_later():
    answer = sent(ENDPOINT="http://no-such-host.invalid:1")
    assert (answer.taken, answer.again) == (False, True)
    assert answer.words == "the name of its host is not known"


def test_who_does_not_answer_in_time_is_given_up():
    with Collector(Said(wait=30)) as collector:
        answer = sent(ENDPOINT=collector.url, seconds=0.2)
    assert answer == Answer(taken=False, again=True, words="it did not answer in time")


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("7", 7, 7),
        ("-5", 0, 0),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0, 0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 1e6, 1e11),
    ],
)
def test_a_pause_is_a_number_or_a_date(header: str, least: float, most: float):
    with Collector(Said(429, headers={"Retry-After": header})) as collector:
        answer = sent(ENDPOINT=collector.url)
    assert answer.again and answer.after is not None
    assert least <= answer.after <= most


def test_a_pause_that_is_neither_is_none():
    with Collector(Said(429, headers={"Retry-After": "soon"})) as collector:
        assert sent(ENDPOINT=collector.url).after is None


def test_compressed():
    with Collector() as collector:
        assert sent(b"\x0a\x00" * 500, ENDPOINT=collector.url, COMPRESSION="gzip").taken
        (export,) = collector.exports
    assert export.headers["content-encoding"] == "gzip"
    assert export.body == b"\x0a\x00" * 500
    assert len(export.raw) < 100


def test_a_password_in_the_address_is_sent_as_one():
    with Collector() as collector:
        sent(ENDPOINT=f"http://me:p%40ss@127.0.0.1:{collector.port}/here")
        (export,) = collector.exports
    told = base64.b64decode(export.headers["authorization"].removeprefix("Basic "))
    assert told == b"me:p@ss"
    assert export.path == "/here/v1/traces"


def server_tls(*, wants_certificate: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate())
    if wants_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate())
    return context


def test_tls_with_authorities_of_ones_own_and_a_certificate():
    ours = str(certificate())
    with Collector(tls=server_tls(wants_certificate=True)) as collector:
        shown = sent(ENDPOINT=collector.url, CERTIFICATE=ours, CLIENT_CERTIFICATE=ours)
        assert shown.taken
        unshown = sent(ENDPOINT=collector.url, CERTIFICATE=ours)
        assert not unshown.taken and unshown.again
        untrusted = sent(ENDPOINT=collector.url)
        assert untrusted.words == "TLS: self-signed certificate"
    assert len(collector.exports) == 1


def test_a_certificate_that_is_none_stops_the_start():
    with pytest.raises(TelemetryError, match="must be PEM files"):
        sent(ENDPOINT="https://c.test", CERTIFICATE=__file__)


class ForwardProxy(BaseHTTPRequestHandler):
    """Notes what it is asked for, and takes all of it."""

    asked: list[tuple[str, str | None]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.asked.append((self.path, self.headers.get("proxy-authorization")))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def forward_proxy() -> Iterator[tuple[int, list[tuple[str, str | None]]]]:
    ForwardProxy.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), ForwardProxy) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_address[1], ForwardProxy.asked
        server.shutdown()
        thread.join()


def test_the_forward_proxy_of_the_environment(
    forward_proxy: tuple[int, list[tuple[str, str | None]]], monkeypatch: pytest.MonkeyPatch
):
    port, asked = forward_proxy
    monkeypatch.setenv("http_proxy", f"http://me:secret@127.0.0.1:{port}")
    assert sent(ENDPOINT="http://c.test:4318").taken
    credential = base64.b64encode(b"me:secret").decode()
    assert asked == [("http://c.test:4318/v1/traces", f"Basic {credential}")]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Collector() as collector:
        assert sent(ENDPOINT=collector.url).taken
        assert len(collector.exports) == 1
    assert len(asked) == 1


def refusing(code: str, details: bytes | None = None) -> Refusal:
    """Return an answer with a code; `details` are of `google.rpc.Status`."""

    def refuse(context: Any) -> None:
        if details is not None:
            context.set_trailing_metadata([("grpc-status-details-bin", details)])
        context.abort(getattr(import_module("grpc").StatusCode, code), f"you said {CANARY}")

    return refuse


def retry_info(seconds: float) -> bytes:
    errors: Any = import_module("google.rpc.error_details_pb2")
    status = import_module("google.rpc.status_pb2").Status(code=8)
    delay = Duration(seconds=int(seconds), nanos=round(seconds % 1 * 1e9))
    status.details.add().Pack(errors.RetryInfo(retry_delay=delay))
    return status.SerializeToString()


def over_grpc(*refusals: Refusal, compression: str = "none") -> tuple[Answer, GrpcSink]:
    with GrpcSink(*refusals) as sink:
        headers = f"x-key={CANARY}"
        answer = sent(PROTOCOL="grpc", ENDPOINT=sink.url, HEADERS=headers, COMPRESSION=compression)
        return answer, sink


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_over_grpc(compression: str):
    answer, sink = over_grpc(compression=compression)
    assert answer == Answer(taken=True)
    (request,) = sink.requests
    assert request == ExportTraceServiceRequest()
    assert sink.metadata[0]["x-key"] == CANARY
    assert sink.metadata[0]["user-agent"].startswith("execution-platform/")


@pytest.mark.parametrize(
    ("code", "details", "again", "after"),
    [
        ("UNAVAILABLE", None, True, None),
        ("UNAVAILABLE", retry_info(2.5), True, 2.5),
        ("DEADLINE_EXCEEDED", None, True, None),
        ("ABORTED", None, True, None),
        ("RESOURCE_EXHAUSTED", None, False, None),
        ("RESOURCE_EXHAUSTED", retry_info(3), True, 3),
        ("RESOURCE_EXHAUSTED", b"\xff\xff", False, None),
        ("INVALID_ARGUMENT", None, False, None),
        ("UNAUTHENTICATED", None, False, None),
        ("UNIMPLEMENTED", None, False, None),
    ],
)
def test_what_a_grpc_collector_may_answer(
    code: str, details: bytes | None, again: bool, after: float | None
):
    answer, _ = over_grpc(refusing(code, details))
    assert (answer.taken, answer.again, answer.after) == (False, again, after)
    assert code in answer.words and CANARY not in answer.words


def test_a_grpc_collector_may_take_a_part():
    with GrpcSink() as sink:
        sink.answer.ParseFromString(partial(2, "too old"))
        answer = sent(PROTOCOL="grpc", ENDPOINT=sink.url)
    assert answer == Answer(taken=True, rejected=2, words="too old")


def test_a_grpc_collector_that_is_not_there():
    with GrpcSink() as sink:
        url = sink.url
    answer = sent(PROTOCOL="grpc", ENDPOINT=url)
    assert (answer.taken, answer.again) == (False, True)
    assert answer.words == "it answered with UNAVAILABLE"


def test_grpc_with_tls():
    ours = certificate().read_bytes()
    grpc: Any = import_module("grpc")
    with GrpcSink(credentials=grpc.ssl_server_credentials([(ours, ours)])) as sink:
        path = str(certificate())
        assert sent(PROTOCOL="grpc", ENDPOINT=sink.url, CERTIFICATE=path).taken
        untrusted = sent(PROTOCOL="grpc", ENDPOINT=sink.url, seconds=1)
        assert not untrusted.taken and untrusted.again
        bare = f"127.0.0.1:{sink.port}"
        assert sent(PROTOCOL="grpc", ENDPOINT=bare, CERTIFICATE=path).taken
