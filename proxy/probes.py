"""`GET /healthz`: the process lives. `GET /readyz`: what it could serve right now."""

from starlette.requests import Request
from starlette.responses import Response

from proxy.service import Service
from translators.json import encode

__all__ = ["live", "ready"]


async def live(request: Request) -> Response:
    """Answer `GET /healthz`."""
    return Response(b'{"status":"ok"}', media_type="application/json")


async def ready(request: Request) -> Response:
    """Answer `GET /readyz`: 200 when every persona can be served by somebody, else 503."""
    is_ready, body = await Service.of(request.scope).health.report()
    return Response(
        encode(body), status_code=200 if is_ready else 503, media_type="application/json"
    )
