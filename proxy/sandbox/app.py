"""The sandbox as one ASGI application, a path prefix per provider."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from proxy.sandbox.anthropic_messages.counting import CountTokens as CountClaudeTokens
from proxy.sandbox.anthropic_messages.dialect import AnthropicMessages
from proxy.sandbox.anthropic_messages.models import page as claude_page
from proxy.sandbox.dialect import Dialect, Rejection
from proxy.sandbox.endpoint import Endpoint, respond
from proxy.sandbox.exchange import Exchange
from proxy.sandbox.gemini_generate.counting import CountTokens as CountGeminiTokens
from proxy.sandbox.gemini_generate.dialect import VERSIONS, Call, GeminiGenerate
from proxy.sandbox.journal import Journal
from proxy.sandbox.jsontypes import JsonObject
from proxy.sandbox.openai_chat.dialect import OpenAIChat
from proxy.sandbox.openai_responses.counting import InputTokens
from proxy.sandbox.openai_responses.dialect import OpenAIResponses

__all__ = ["create_sandbox", "journal_of"]

Page = Callable[[JsonObject, Mapping[str, str]], JsonObject]
"""From a list and a query to the part of the list that is asked for."""


def create_sandbox() -> Starlette:
    """Return a new sandbox with counters and a memory of its own.

    The paths are the providers' own below `/openai`, `/anthropic` and `/gemini`; `/_sandbox/stats`
    and `/_sandbox/requests` tell what arrived.
    """
    journal = Journal()
    openai, anthropic = OpenAIChat(), AnthropicMessages()
    app = Starlette(
        routes=[
            _mount(
                "/openai",
                openai,
                journal,
                {
                    "/v1/chat/completions": openai,
                    "/v1/responses": OpenAIResponses(),
                    "/v1/responses/input_tokens": InputTokens(),
                },
            ),
            _mount(
                "/anthropic",
                anthropic,
                journal,
                {"/v1/messages": anthropic, "/v1/messages/count_tokens": CountClaudeTokens()},
                page=claude_page,
            ),
            Mount("/gemini", app=_Gemini(journal)),
            *_inspection(journal),
        ]
    )
    app.state.journal = journal
    return app


def journal_of(app: Starlette) -> Journal:
    """Return the journal of an application made by `create_sandbox`."""
    return app.state.journal


def _mount(
    prefix: str,
    dialect: OpenAIChat | AnthropicMessages,
    journal: Journal,
    generate: Mapping[str, Dialect],
    *,
    page: Page | None = None,
) -> Mount:
    models = Lookup(dialect, journal, dialect.models, page=page)
    return Mount(
        prefix,
        routes=[
            *(
                Route(path, Endpoint(api, journal), methods=["POST"])
                for path, api in generate.items()
            ),
            Route("/v1/models", models, methods=["GET"]),
            Route("/v1/models/{id:path}", models, methods=["GET"]),
            Route("/{rest:path}", Lookup(dialect, journal, dialect.no_such_path)),
        ],
    )


class _Gemini:
    """Reads a Gemini path: version, model and method, or the list of models."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        journal.tally(GeminiGenerate.name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as an ASGI application."""
        version, _, rest = _local(scope).removeprefix("/").partition("/")
        resource, _, wanted = rest.partition("/")
        known = version in VERSIONS and resource == "models"
        model, _, method = wanted.rpartition(":")
        query = QueryParams(scope["query_string"])
        call = Call(
            version=version,
            model=model,
            stream=method == "streamGenerateContent",
            form=query.get("alt", ""),
            key=query.get("key", ""),
        )
        dialect = CountGeminiTokens(call) if method == "countTokens" else GeminiGenerate(call)
        posted = model and method in {"generateContent", "streamGenerateContent", "countTokens"}
        if known and posted and scope["method"] == "POST":
            app = Endpoint(dialect, self._journal)
        elif known and not model and scope["method"] == "GET":
            app = Lookup(dialect, self._journal, dialect.models, wanted)
        else:
            app = Lookup(dialect, self._journal, dialect.no_such_path)
        await app(scope, receive, send)


class Lookup:
    """Answers a request that needs no more than its path."""

    def __init__(
        self,
        dialect: Dialect,
        journal: Journal,
        find: Callable[[str, str], JsonObject],
        wanted: str = "",
        *,
        page: Page | None = None,
    ) -> None:
        self._dialect = dialect
        self._page = page
        self._journal = journal
        self._find = find
        self._wanted = wanted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as an ASGI application."""
        exchange = Exchange(scope, receive, send)
        serial = self._journal.next_serial()
        headers = self._dialect.headers(serial)
        self._journal.record(exchange.method, exchange.path, exchange.headers, None)
        try:
            self._dialect.admit(exchange.headers)
            wanted: str = scope.get("path_params", {}).get("id", self._wanted)
            body = self._find(wanted, f"{exchange.method} {_local(scope)}")
            if self._page is not None:
                body = self._page(body, QueryParams(scope["query_string"]))
            await respond(exchange, 200, body, headers)
        except Rejection as rejection:
            error = self._dialect.error_body(rejection.error, serial)
            kind = self._dialect.refusal_type
            await respond(exchange, rejection.status, error, headers, kind=kind)


def _local(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _inspection(journal: Journal) -> list[BaseRoute]:
    async def stats(_: Request) -> Response:
        return JSONResponse(journal.stats())

    async def requests(_: Request) -> Response:
        return JSONResponse(list(journal.requests))

    async def forget(_: Request) -> Response:
        journal.forget()
        return Response(status_code=204)

    def route(path: str, serve: Callable[[Request], Awaitable[Response]], method: str) -> Route:
        return Route(path, serve, methods=[method])

    return [
        route("/_sandbox/stats", stats, "GET"),
        route("/_sandbox/requests", requests, "GET"),
        route("/_sandbox/requests", forget, "DELETE"),
    ]
