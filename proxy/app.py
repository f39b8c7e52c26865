"""The ASGI application: routes and lifespan."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from proxy.chat import ChatCompletions
from proxy.errors import on_http_exception
from proxy.middleware import RequestMiddleware
from proxy.models import list_models, retrieve_model
from proxy.probes import live, ready
from proxy.service import Configuration, Service, load_configuration, open_service

__all__ = ["create_app"]


def create_app(configuration: Configuration | None = None) -> Starlette:
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

    return Starlette(
        routes=[
            # The hot one first: routes are tried in order.
            Route("/v1/chat/completions", ChatCompletions(), methods=["POST"]),
            Route("/v1/models", list_models, methods=["GET"]),
            Route("/v1/models/{id:path}", retrieve_model, methods=["GET"]),
            Route("/healthz", live, methods=["GET"]),
            Route("/readyz", ready, methods=["GET"]),
        ],
        middleware=[Middleware(RequestMiddleware)],
        exception_handlers={HTTPException: on_http_exception},
        lifespan=lifespan,
    )
