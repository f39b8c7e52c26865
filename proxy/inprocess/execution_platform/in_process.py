"""Answers from the engine, in this process: routing, fallback, reports, traces as a server's."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from execution_platform.asking import Asked, trace_context
from execution_platform.configuration import configuration
from execution_platform.lifetime import Lifetime
from policy.decision import decide
from policy.model_choice import with_model
from proxy.availability import available
from proxy.delivery import Telling
from proxy.engine import Engine
from proxy.exchange import Caller, Exchange
from proxy.service import Service, open_service
from translators.errors import ExecutionPlatformError, InvalidRequest
from translators.json import encode
from translators.wire.request import parse_request

__all__ = ["InProcess"]

_CALLER = Caller("in-process", tenant="in-process")
"""Client keys are for those who come over the network; whoever runs this process has it all."""


class InProcess:
    """The engine, opened in each event loop with the first request there.

    Args:
        given: Variables that win over environment and `.env`.

    Raises:
        ConfigurationError: A variable is wrong.
        PolicyError: The policy file is wrong.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        self._configuration = found = configuration(given)
        self._availability: Mapping[str, str | None] | None = None
        self._lifetime = Lifetime(found, partial(open_service, found))

    def check(self, persona: str) -> None:
        """Refuse a persona that nobody could serve."""
        self.select_provider(persona)

    def select_provider(self, persona: str) -> str:
        """Return who would be asked first for a plain request."""
        found = self._configuration
        if self._availability is None:
            sandbox = found.settings.sandbox
            self._availability = available(found.policy, found.environment, sandbox=sandbox)
        chat = parse_request(
            encode({"model": persona, "messages": [{"role": "user", "content": "Hello"}]})
        )
        return decide(chat, found.policy, self._availability).targets[0].provider

    async def whole(self, asked: Asked) -> bytes:
        """Return the JSON of a whole answer."""
        service = await self._lifetime.get()
        exchange, engine = _begun(service, asked, stream=False)
        try:
            completion = await engine.complete(exchange)
        except BaseException as error:
            _tell(asked, exchange)
            _finish(service, exchange, error)
            raise
        _tell(asked, exchange)
        _finish(service, exchange, None)
        return completion.data

    def answer(self, asked: Asked) -> "EngineAnswer":
        """Return a streamed answer."""
        return EngineAnswer(self._lifetime, asked)

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._lifetime.aclose()

    def close(self) -> None:
        """Do the same from outside of an event loop."""
        self._lifetime.close()


class EngineAnswer:
    """A streamed answer of the engine's."""

    def __init__(self, lifetime: Lifetime[Service], asked: Asked) -> None:
        self._lifetime = lifetime
        self._asked = asked
        self._service: Service | None = None
        self._exchange: Exchange | None = None
        self._delivery: Telling | None = None

    async def _open(self) -> Telling:
        service = await self._lifetime.get()
        exchange, engine = _begun(service, self._asked, stream=True)
        self._service, self._exchange = service, exchange
        try:
            self._delivery = delivery = await engine.begin(exchange)
        finally:
            _tell(self._asked, exchange)
        return delivery

    async def next(self) -> list[bytes] | None:
        """Return the JSON of the next chunks."""
        delivery = self._delivery or await self._open()
        try:
            batch = await anext(delivery)
        except StopAsyncIteration:
            return None
        return [chunk.data for chunk in batch]

    async def close(self, error: BaseException | None) -> None:
        """Close the provider's connection, and complete the record."""
        exchange, service, self._service = self._exchange, self._service, None
        if exchange is None or service is None:
            return
        try:
            if self._delivery is not None:
                await self._delivery.aclose(error)
        finally:
            _finish(service, exchange, error)


def _begun(service: Service, asked: Asked, *, stream: bool) -> tuple[Exchange, Engine]:
    """Return the record of a request, and the engine that serves it.

    Raises:
        InvalidRequest: The request is malformed, or names a model that is not to be had.
    """
    asked.served.request_id = request_id = f"req_{uuid.uuid4().hex}"
    chat = parse_request(asked.body(stream=stream))
    engine = _engine(service.generation.engine, asked)
    wanted = asked.wanted()
    headers = [(name.encode(), value.encode()) for name, value in trace_context().items()]
    exchange = Exchange(
        chat=chat,
        request_id=request_id,
        caller=_CALLER,
        strict=asked.request.strict,
        cache_control=wanted,
        span=service.telemetry.call(headers),
        cancelled_because="client_disconnect",
    )
    return exchange, engine


def _engine(engine: Engine, asked: Asked) -> Engine:
    model = asked.request.model
    if model is None:
        return engine
    if asked.persona not in engine.policy.personas:
        raise InvalidRequest(
            f"The client is for the model `{asked.persona[:64]}` itself; leave `model` out.",
            param="model",
        )
    policy = with_model(engine.policy, asked.persona, model)
    return replace(engine, policy=policy, preparation=replace(engine.preparation, policy=policy))


def _finish(service: Service, exchange: Exchange, error: BaseException | None) -> None:
    status: int | None = None
    if error is None or exchange.committed is not None:
        status = 200
    elif isinstance(error, ExecutionPlatformError):
        status = error.status_hint
    elif not isinstance(error, Exception) and not exchange.attempts:
        # Given up before there was an attempt to say so.
        exchange.end_reason = exchange.cancelled_because
    service.finish(exchange, status=status)


def _tell(asked: Asked, exchange: Exchange) -> None:
    served = asked.served
    served.attempts = exchange.attempts
    served.persona = exchange.decision.persona if exchange.decision else asked.persona
    served.cached = exchange.cache is not None and exchange.cache.age is not None
    served.provider = exchange.target.provider if exchange.target else None
    served.report = asked.report(exchange.report.ignored, exchange.report.emulated)
