"""Quality Fabric alone: the ASGI application of `execution-platform quality serve`."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Scope

from proxy.errors import error_response
from proxy.garbage import seldom_collected
from proxy.logs.records import loop_errors_logged
from proxy.probes import live
from proxy.quality.endpoints import quality_routes
from proxy.quality.records import one_line
from proxy.quality.service import open_quality
from proxy.service import Configuration, load_configuration
from translators.errors import ExecutionPlatformError, InvalidRequest

__all__ = ["create_quality_app"]

log = logging.getLogger("execution_platform.quality")


def create_quality_app(configuration: Configuration | None = None) -> ASGIApp:
    """Return the application; without a configuration it reads the environment.

    Raises:
        ConfigurationError: A variable is wrong.
        PolicyError: The policy file is wrong.
    """
    known = configuration or load_configuration()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[dict[str, object]]:
        async with open_quality(known, refused=_log_refusal) as quality:
            with loop_errors_logged(), seldom_collected():
                yield {"quality": quality, "settings": known.settings}

    app = Starlette(
        routes=[Route("/healthz", live, methods=["GET"]), *quality_routes()],
        exception_handlers={HTTPException: _on_http_exception},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def _log_refusal(scope: Scope, error: ExecutionPlatformError) -> None:
    level = logging.ERROR if error.status_hint >= 500 else logging.INFO
    # Both hold what a client sent: a line end in it would forge a line of the log.
    path, said = one_line(scope["path"][:200]), one_line(error.message)
    log.log(level, "%s %s: %s", scope["method"], path, said)


async def _on_http_exception(request: Request, exception: Exception) -> Response:
    """Answer for the router: 404 and 405."""
    if not isinstance(exception, HTTPException):
        raise exception
    status = exception.status_code
    code = "method_not_allowed" if status == 405 else "not_found"
    said = f"There is no {request.method} {request.url.path[:200]}: see /quality/openapi.json."
    response = error_response(InvalidRequest(said, code=code, status=status))
    response.headers.update(exception.headers or {})
    return response
