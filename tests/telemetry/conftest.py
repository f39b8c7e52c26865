"""The same questions to the tests' own collector and to a real Jaeger, by both protocols."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.telemetry.backends.backend import OtlpProtocol, TraceBackend
from tests.telemetry.backends.jaeger import JAEGER_QUERY_URL, Jaeger
from tests.telemetry.otlp_sink import OtlpSink

PROTOCOLS: dict[str, OtlpProtocol] = {"http": "http/protobuf", "grpc": "grpc"}


@dataclass(frozen=True)
class Exporter:
    """Where a server's spans go, and how."""

    backend: TraceBackend
    protocol: OtlpProtocol


@pytest.fixture(
    scope="module",
    params=[f"{backend}-{protocol}" for backend in ("sink", "jaeger") for protocol in PROTOCOLS],
)
def exporter(request: pytest.FixtureRequest) -> Iterator[Exporter]:
    """The sink, and the Jaeger at `JAEGER_QUERY_URL` if there is one: `make test-jaeger`."""
    backend, _, protocol = request.param.partition("-")
    if backend == "sink":
        with OtlpSink() as sink:
            yield Exporter(sink, PROTOCOLS[protocol])
            assert sink.refused == [], "a collector would not have taken this"
        return
    jaeger = Jaeger.from_environment()
    if jaeger is None:
        pytest.skip(f"{JAEGER_QUERY_URL} is not set: `make test-jaeger` runs this half")
    with jaeger:
        yield Exporter(jaeger, PROTOCOLS[protocol])
