"""The composition root: configuration to everything that serves a request."""

import os
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import cast

from starlette.types import Scope

from policy.schema import Policy
from proxy.access import Access
from proxy.answer_store import MemoryAnswerStore
from proxy.availability import api_keys, availability, cli_credentials, with_sandbox
from proxy.config import (
    ConfigurationError,
    Settings,
    load_environment,
    load_policy,
    load_settings,
)
from proxy.decision_log import DecisionLog, LineWriter
from proxy.engine import Engine
from proxy.exchange import Exchange, error_type
from proxy.health import Health
from proxy.http import HttpClient
from proxy.live_gates import LiveGates
from proxy.media.fetcher import MediaFetcher
from proxy.preparation import Preparation
from proxy.provider import ChatProvider
from proxy.reasoning_store import (
    NO_REASONING_STORE,
    MemoryReasoningStore,
    ReasoningStore,
    realm_of,
)
from proxy.registry import create_provider
from proxy.response_cache import ResponseCache
from proxy.telemetry.setup import create_telemetry
from proxy.telemetry.spans import Telemetry
from proxy.ticker import Ticker
from translators.errors import ExecutionPlatformError

__all__ = [
    "Configuration",
    "Service",
    "check_reasoning_store",
    "load_configuration",
    "open_service",
    "reasoning_store",
    "response_cache",
]


@dataclass(frozen=True, slots=True)
class Configuration:
    """What was read before anything is served.

    Attributes:
        settings: Of the server.
        policy: Personas and provider rows.
        environment: The process's variables over those of `.env`; holds the providers' keys.
    """

    settings: Settings
    policy: Policy
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Service:
    """What the endpoints need, for as long as the server runs."""

    settings: Settings
    engine: Engine
    access: Access
    telemetry: Telemetry
    decisions: DecisionLog
    health: Health
    ticker: Ticker
    live_gates: LiveGates
    created: int

    @staticmethod
    def of(scope: Scope) -> "Service":
        """Return the service that the application of a request was opened with."""
        return cast("Service", scope["state"]["service"])

    def finish(
        self,
        exchange: Exchange,
        *,
        status: int | None,
        error: ExecutionPlatformError | None = None,
    ) -> None:
        """End the span of a request that is over, and write its line in the decision log.

        Args:
            exchange: The request's record.
            status: Of the response, if one was begun.
            error: What a front refused it for, apart from the engine's own error.
        """
        exchange.span.end(
            status=status,
            attributes=exchange.attributes(),
            error_type=error_type(error or exchange.error),
        )
        self.decisions.write(exchange, status=status, trace_id=exchange.span.trace_id)


def load_configuration(given: Mapping[str, str] | None = None) -> Configuration:
    """Read environment, `.env` and policy.

    Args:
        given: Variables that win over both, such as `EP_POLICY`.

    Raises:
        ConfigurationError: A variable is wrong, or the package it needs is missing.
        PolicyError: The policy file is wrong.
    """
    environment = {**load_environment(), **(given or {})}
    for name, value in environment.items():
        # OpenTelemetry's and the clouds' libraries read these themselves, and so does the Claude
        # CLI; none of them knows `.env`.
        if name.startswith(("OTEL_", "GOOGLE_", "CLOUDSDK_", "AWS_", "CLAUDE_")):
            os.environ.setdefault(name, value)
    settings = load_settings(environment)
    check_reasoning_store(settings)
    policy = load_policy(settings.policy, environment)
    for row in policy.providers.values():
        # Agents' processes get what they need of the process's own variables.
        for name in () if row.agent is None else row.agent.variables & environment.keys():
            os.environ.setdefault(name, environment[name])
    return Configuration(settings, policy, environment)


@asynccontextmanager
async def open_service(configuration: Configuration) -> AsyncGenerator[Service]:
    """Build the service; leaving closes its connections and delivers the last spans.

    What is entered here is no `asynccontextmanager` itself: an event loop that ends closes all
    asynchronous generators at once, and the programs that have us inside leave this to it.

    Raises:
        TelemetryError: An `OTEL_*` variable asks for something that is not there.
    """
    settings, policy = configuration.settings, configuration.policy
    environment = configuration.environment
    async with AsyncExitStack() as stack:
        telemetry = create_telemetry(environment)
        stack.push_async_callback(telemetry.shutdown)
        if settings.sandbox:
            # Imported here: without the sandbox none of it is needed.
            from proxy.sandbox.server import SandboxServer  # noqa: PLC0415

            policy = with_sandbox(policy, await stack.enter_async_context(SandboxServer()))
        ticker = Ticker()
        stack.callback(ticker.close)
        client = HttpClient(ticker)
        stack.push_async_callback(client.aclose)
        live_gates = LiveGates(policy)
        engine = replace(
            _engine(stack, settings, policy, environment, client),
            gates=live_gates if policy.live_gates.enabled else None,
        )
        yield Service(
            settings=settings,
            engine=engine,
            access=access_of(configuration),
            telemetry=telemetry,
            decisions=_decision_log(stack, settings.log_level),
            health=Health(engine, cli_credentials(policy, environment)),
            ticker=ticker,
            live_gates=live_gates,
            created=int(time.time()),
        )


def _engine(
    stack: AsyncExitStack,
    settings: Settings,
    policy: Policy,
    environment: Mapping[str, str],
    client: HttpClient,
) -> Engine:
    """Return the engine over providers that run until `stack` is closed."""
    reasons = availability(policy, environment)
    usable = [name for name, reason in reasons.items() if reason is None]
    providers = _providers(policy, usable, environment, client)
    for name, provider in providers.items():
        stack.push_async_callback(provider.aclose)
        if policy.reaches(name):
            provider.start()
    reasoning = reasoning_store(settings, policy)
    stack.push_async_callback(reasoning.aclose)
    cache = response_cache(settings, policy, reasoning)
    if cache is not None:
        stack.push_async_callback(cache.aclose)
    media = MediaFetcher(policy.media, request_timeout=settings.timeout)
    return Engine(
        policy=policy,
        availability=reasons,
        preparation=_preparation(policy, environment, providers, reasoning=reasoning, media=media),
        timeout=settings.timeout,
        reasoning=reasoning,
        cache=cache,
    )


def _providers(
    policy: Policy, names: Iterable[str], environment: Mapping[str, str], client: HttpClient
) -> dict[str, ChatProvider]:
    keys = api_keys(policy, environment)
    return {
        name: create_provider(
            policy.providers[name],
            key=keys[name].get_secret_value() if name in keys else None,
            client=client,
        )
        for name in names
    }


def _preparation(
    policy: Policy,
    environment: Mapping[str, str],
    providers: Mapping[str, ChatProvider],
    *,
    reasoning: ReasoningStore,
    media: MediaFetcher,
) -> Preparation:
    keys = api_keys(policy, environment)
    realms = {
        name: realm_of(row, keys[name].get_secret_value() if name in keys else None)
        for name, row in policy.providers.items()
    }
    return Preparation(
        policy,
        providers,
        strict=policy.strict,
        reasoning=reasoning,
        media=media,
        realms=realms,
    )


def check_reasoning_store(settings: Settings) -> None:
    """Check what `EP_REDIS_URL` needs before anything is started; Redis itself may be down.

    Raises:
        ConfigurationError: The package is missing, or the address has options that are wrong.
    """
    if settings.redis_url is None:
        return
    if find_spec("redis") is None:
        raise ConfigurationError(
            "EP_REDIS_URL: the package `redis` is not installed: "
            "pip install 'execution-platform[redis]', or unset the variable."
        )
    # Imported here: it takes 0.2 s, and nobody else needs it.
    from proxy.redis_entries import check_url  # noqa: PLC0415

    try:
        check_url(settings.redis_url.get_secret_value())
    except ValueError:
        raise ConfigurationError(
            "EP_REDIS_URL: the address is not right: its path is the number of a database, and "
            "behind `?` stand options of redis-py, for instance ?ssl_cert_reqs=none."
        ) from None


def reasoning_store(settings: Settings, policy: Policy) -> ReasoningStore:
    """Return the store for models' reasoning that a configuration asks for."""
    bounds = policy.reasoning_store
    if not bounds.enabled:
        return NO_REASONING_STORE
    if settings.redis_url is None:
        return MemoryReasoningStore(
            max_entries=bounds.max_entries, max_bytes=bounds.max_bytes, max_age=bounds.max_age
        )
    from proxy.reasoning_redis import RedisReasoningStore  # noqa: PLC0415

    return RedisReasoningStore(settings.redis_url.get_secret_value(), max_age=bounds.max_age)


def response_cache(
    settings: Settings, policy: Policy, reasoning: ReasoningStore
) -> ResponseCache | None:
    """Return what keeps answers for repeated requests; None where no persona has that."""
    if not policy.caches:
        return None
    bounds = policy.response_cache
    if settings.redis_url is None:
        store = MemoryAnswerStore(max_entries=bounds.max_entries, max_bytes=bounds.max_bytes)
    else:
        from proxy.answer_redis import RedisAnswerStore  # noqa: PLC0415

        store = RedisAnswerStore(settings.redis_url.get_secret_value())
    return ResponseCache(store, max_answer_bytes=bounds.max_answer_bytes, reasoning=reasoning)


def _decision_log(stack: AsyncExitStack, log_level: str) -> DecisionLog:
    if log_level not in _TALKATIVE:
        return DecisionLog(None)
    writer = LineWriter(_STDERR)
    stack.callback(writer.close)
    return DecisionLog(writer.write)


def access_of(configuration: Configuration) -> Access:
    """Return the client keys of a configuration."""
    keys = [key.get_secret_value() for key in configuration.settings.client_keys]
    return Access(keys, configuration.policy.client_keys)


_TALKATIVE = ("debug", "info")
_STDERR = 2
