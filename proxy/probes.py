"""For those who watch a server.

`GET /healthz`: the process lives. `GET /readyz`: what it could serve right now. `GET /metrics`: for
Prometheus.
"""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from proxy.access import admit_scraper
from proxy.errors import error_response
from proxy.middleware import RequestState
from proxy.service import Service
from translators.errors import AccessDenied
from translators.json import encode

__all__ = ["live", "ready", "show_metrics"]


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


async def show_metrics(request: Request) -> Response:
    """Answer `GET /metrics`: Prometheus's text, or OpenMetrics for those who take it."""
    scope = request.scope
    service = Service.of(scope)
    settings, page = service.settings, service.metrics_page
    if page is None:
        raise HTTPException(404)
    try:
        access = service.generation.access
        admit_scraper(scope, access, key=settings.metrics_key, anybody=settings.metrics_open)
    except AccessDenied as error:
        RequestState.of(scope).error = error
        response = error_response(error)
        response.headers["www-authenticate"] = "Bearer"
        return response
    accepted = request.headers.get("accept", "")
    body, kind = await page.get(as_openmetrics="application/openmetrics-text" in accepted)
    return Response(body, headers={"content-type": kind, "cache-control": "no-store"})
