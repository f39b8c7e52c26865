"""What else the server talks to: the collector of traces, Redis, and whoever has its port."""

import asyncio
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from proxy.cli.diagnosis.findings import Finding, split_reason
from proxy.cli.diagnosis.network import place_of, proxy_for, reach, remedy_for
from proxy.config import ConfigurationError, Settings
from proxy.service import check_reasoning_store
from proxy.telemetry.export.otlp import GRPC, otlp_settings
from proxy.telemetry.setup import TelemetryError, check_telemetry, otlp_endpoint, wants_telemetry

__all__ = ["is_our_server", "redis_finding", "tracing_finding"]

_ANSWER_SECONDS: Final = 1.0
_HTTP_PORT: Final = 4318
_GRPC_PORT: Final = 4317


async def tracing_finding(environment: Mapping[str, str], *, offline: bool) -> Finding:
    """Say whether traces are asked for, and whether they arrive somewhere."""
    if not wants_telemetry(environment):
        remedy = "Set OTEL_EXPORTER_OTLP_ENDPOINT to have a trace of each request."
        return Finding("tracing", "", "skipped", "off", remedy)
    try:
        check_telemetry(environment)
    except TelemetryError as error:
        remedy = "Correct the variable, or unset it."
        return Finding("tracing", "", "failed", str(error).rstrip("."), remedy)
    url = otlp_endpoint(environment)
    if url is None:
        return Finding("tracing", "", "ok", "on the console")
    host, port = place_of(url)
    grpc = otlp_settings(environment).protocol == GRPC
    if port == (_HTTP_PORT if grpc else _GRPC_PORT):
        way, other = ("gRPC", "HTTP") if grpc else ("HTTP", "gRPC")
        found = f"{host}:{port} is the port of OTLP over {other}, and traces are sent over {way}"
        right = _GRPC_PORT if grpc else _HTTP_PORT
        return Finding("tracing", "", "warning", found, f"Use port {right} of the same collector.")
    if offline:
        return Finding("tracing", "", "ok", f"to {host}:{port}; not tried")
    # The exporter does use the forward proxy of the environment.
    proxy = proxy_for(url, environment)
    authorities = otlp_settings(environment).certificate
    reached = await reach(proxy or url, head=False, authorities=authorities)
    if reached.trouble:
        found = f"{reached.place}: {reached.trouble}; spans are lost, requests are served"
        what = "the forward proxy" if proxy else "OTEL_EXPORTER_OTLP_ENDPOINT"
        return Finding("tracing", "", "warning", found, remedy_for(reached, what))
    way = f" through the forward proxy {reached.place}" if proxy else " and is reached"
    return Finding("tracing", "", "ok", f"to {host}:{port}{way}")


async def redis_finding(settings: Settings, *, offline: bool) -> Finding | None:
    """Say whether Redis answers; None where nothing asks for it."""
    if settings.redis_url is None:
        return None
    url = settings.redis_url.get_secret_value()
    try:
        check_reasoning_store(settings)
    except ConfigurationError as error:
        found, remedy = split_reason(error.message.removeprefix("EP_REDIS_URL: ").rstrip("."))
        return Finding("redis", "", "failed", found, remedy or "Correct EP_REDIS_URL.")
    if offline:
        return Finding("redis", "", "skipped", "not tried")
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    place = parts.path if parts.scheme == "unix" else f"{host}:{parts.port or 6379}"
    lost = "models' reasoning is not shared meanwhile, requests are served"
    if parts.scheme != "unix":
        # First without its library, whose look-up of a name nothing can stop.
        reached = await reach(f"redis://{place}", head=False)
        if reached.trouble:
            found = f"{reached.place}: {reached.trouble}; {lost}"
            return Finding("redis", "", "warning", found, remedy_for(reached, "EP_REDIS_URL"))
    # Imported here: it takes 0.2 s, and nobody else needs it.
    from proxy.redis_entries import trouble  # noqa: PLC0415

    if said := await trouble(url):
        remedy = "Correct user, password and database in EP_REDIS_URL, or the server's settings."
        return Finding("redis", "", "warning", f"{place}: {said}; {lost}", remedy)
    return Finding("redis", "", "ok", f"{place} answers")


async def is_our_server(settings: Settings) -> bool:
    """Whether what listens on our port answers as our servers do when asked for their health."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    if settings.port == 0 or not _is_address(host):
        # Nothing can stop the system's look-up of a name.
        return False
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(host, settings.port)
            try:
                writer.write(request)
                answer = await reader.read(4096)
            finally:
                writer.transport.abort()
    except OSError:
        return False
    return answer.startswith(b"HTTP/1.1 200") and b"application/json" in answer


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return host == "localhost"
    return True
