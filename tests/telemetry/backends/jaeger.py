"""A real Jaeger that somebody has started: `make test-jaeger`, or a reader of the README."""

import json
import os
from typing import Final, Self
from urllib.parse import urlsplit

import httpx

from tests.telemetry.backends.backend import Json, OtlpProtocol, exporter_variables
from tests.telemetry.backends.query import Query

__all__ = ["JAEGER_OTLP_GRPC", "JAEGER_OTLP_HTTP", "JAEGER_QUERY_URL", "Jaeger"]

JAEGER_QUERY_URL: Final = "JAEGER_QUERY_URL"
"""The variable with the query service's address, such as `http://localhost:16686`."""

JAEGER_OTLP_HTTP: Final = "JAEGER_OTLP_HTTP"
"""Where it takes OTLP over HTTP; port 4318 of the same host where nothing is said."""

JAEGER_OTLP_GRPC: Final = "JAEGER_OTLP_GRPC"
"""Where it takes OTLP over gRPC; port 4317 of the same host where nothing is said."""


class Jaeger:
    """A `TraceBackend`; a context manager.

    Args:
        query_url: Of the query service.
        http: Where OTLP over HTTP goes.
        grpc: Where OTLP over gRPC goes.
    """

    name = "jaeger"

    def __init__(self, query_url: str, *, http: str, grpc: str) -> None:
        self._query = Query(query_url)
        self._endpoints: dict[OtlpProtocol, str] = {"http/protobuf": http, "grpc": grpc}
        try:
            self._query.services()
        except httpx.HTTPError as error:
            self._query.close()
            raise AssertionError(f"no Jaeger answers at {query_url}: {error}") from None

    @classmethod
    def from_environment(cls) -> Self | None:
        """Return the Jaeger that the variables name; None where they name none.

        Raises:
            AssertionError: They name one that does not answer.
        """
        url = os.environ.get(JAEGER_QUERY_URL)
        if not url:
            return None
        host = urlsplit(url).hostname or "localhost"
        return cls(
            url,
            http=os.environ.get(JAEGER_OTLP_HTTP) or f"http://{host}:4318",
            grpc=os.environ.get(JAEGER_OTLP_GRPC) or f"http://{host}:4317",
        )

    def environment_for(self, protocol: OtlpProtocol) -> dict[str, str]:
        return exporter_variables(protocol, self._endpoints[protocol])

    def services(self) -> list[str]:
        return self._query.services()

    def trace(self, id: str) -> Json | None:
        return self._query.trace(id)

    def told(self, trace: str) -> bytes:
        """Return Jaeger's own words of one trace: the bytes of the exports are not to be had."""
        return json.dumps(self.trace(trace)).encode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._query.close()
