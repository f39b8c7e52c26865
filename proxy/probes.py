"""`GET /healthz`: the process lives. `GET /readyz`: what it could serve right now."""

from starlette.requests import Request
from starlette.responses import Response

from proxy.service import Service
from translators.errors import AccessDenied
from translators.json import encode

__all__ = ["live", "ready"]


async def live(request: Request) -> Response:
    """Answer `GET /healthz`."""
    return Response(b'{"status":"ok"}', media_type="application/json")


async def ready(request: Request) -> Response:
    """Answer `GET /readyz`: 200 while some persona can be served by somebody, else 503.

    The details name providers and variables: where there are client keys they are for those
    who have one; others get the status alone.
    """
    service = Service.of(request.scope)
    generation = service.generation
    is_ready, body = await generation.health.report()
    body["policy"] = service.policy_state()
    try:
        generation.access.caller(request.scope)
    except AccessDenied:
        body = {"status": body["status"]}
    return Response(
        encode(body), status_code=200 if is_ready else 503, media_type="application/json"
    )
