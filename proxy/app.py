"""The ASGI application: routes and lifespan."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Scope

from proxy.chat import ChatCompletions
from proxy.decisions.endpoint import retrieve_decision
from proxy.errors import on_http_exception
from proxy.garbage import seldom_collected
from proxy.hangup import on_hangup
from proxy.logs.records import loop_errors_logged
from proxy.middleware import RequestMiddleware, RequestState
from proxy.models import list_models, retrieve_model
from proxy.probes import live, ready, show_metrics
from proxy.service import Configuration, load_configuration, open_service
from translators.errors import ExecutionPlatformError

__all__ = ["create_app"]


def create_app(configuration: Configuration | None = None) -> ASGIApp:
    """Return the application; without a configuration it reads the environment.

    Raises:
        ConfigurationError: A variable is wrong.
        PolicyError: The policy file is wrong.
    """
    known = configuration or load_configuration()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[dict[str, object]]:
        async with open_service(known, serves=True) as service, AsyncExitStack() as stack:
            stack.enter_context(loop_errors_logged())
            if service.reloader is not None:
                stack.enter_context(on_hangup(service.reloader.ask))
            state: dict[str, object] = {"service": service, "settings": known.settings}
            if known.settings.quality:
                # Imported here, as below: off unless asked for, and then no part of the start-up.
                from proxy.quality.service import open_quality  # noqa: PLC0415

                opened = open_quality(
                    known, access=lambda: service.generation.access, refused=_note_refusal
                )
                state["quality"] = await stack.enter_async_context(opened)
            # Last: whatever was made until here is here for good.
            stack.enter_context(seldom_collected())
            yield state

    chat = Route("/v1/chat/completions", ChatCompletions(), methods=["POST"])
    app = Starlette(
        routes=[
            chat,
            Route("/v1/models", list_models, methods=["GET"]),
            Route("/v1/models/{id:path}", retrieve_model, methods=["GET"]),
            Route("/v1/ep/decisions/{request_id:path}", retrieve_decision, methods=["GET"]),
            Route("/healthz", live, methods=["GET"]),
            Route("/readyz", ready, methods=["GET"]),
            *([Route("/metrics", show_metrics, methods=["GET"])] if known.settings.metrics else []),
            *_quality_routes(known),
        ],
        exception_handlers={HTTPException: on_http_exception},
        lifespan=lifespan,
    )
    # A redirect to the same path without its slash would be built from the client's `host`.
    app.router.redirect_slashes = False
    # Around Starlette, not inside: its own outermost layer would stand between the two.
    return RequestMiddleware(app, hot=chat)


def _quality_routes(configuration: Configuration) -> list[Route]:
    if not configuration.settings.quality:
        return []
    from proxy.quality.endpoints import quality_routes  # noqa: PLC0415

    return quality_routes()


def _note_refusal(scope: Scope, error: ExecutionPlatformError) -> None:
    RequestState.of(scope).error = error
