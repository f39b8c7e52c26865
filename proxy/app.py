"""The ASGI application: routes and lifespan."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

from proxy.chat import ChatCompletions
from proxy.errors import on_http_exception
from proxy.middleware import RequestMiddleware
from proxy.models import list_models, retrieve_model
from proxy.probes import live, ready
from proxy.service import Configuration, Service, load_configuration, open_service

__all__ = ["create_app"]


def create_app(configuration: Configuration | None = None) -> ASGIApp:
    """Return the application; without a configuration it reads the environment.

    Raises:
        ConfigurationError: A variable is wrong.
        PolicyError: The policy file is wrong.
    """
    known = configuration or load_configuration()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[dict[str, Service]]:
        async with open_service(known) as service:
            yield {"service": service}

    chat = Route("/v1/chat/completions", ChatCompletions(), methods=["POST"])
    app = Starlette(
        routes=[
            chat,
            Route("/v1/models", list_models, methods=["GET"]),
            Route("/v1/models/{id:path}", retrieve_model, methods=["GET"]),
            Route("/healthz", live, methods=["GET"]),
            Route("/readyz", ready, methods=["GET"]),
        ],
        exception_handlers={HTTPException: on_http_exception},
        lifespan=lifespan,
    )
    # A redirect to the same path without its slash would be built from the client's `host`.
    app.router.redirect_slashes = False
    # Around Starlette, not inside: its own outermost layer would stand between the two.
    return RequestMiddleware(app, hot=chat)
