"""The composition root: configuration to everything that serves a request."""

import os
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import cast

from starlette.types import Scope

from policy.schema import Policy
from proxy.access import Access
from proxy.config import (
    Settings,
    api_keys,
    availability,
    load_environment,
    load_policy,
    load_settings,
    with_sandbox,
)
from proxy.decision_log import DecisionLog, LineWriter
from proxy.engine import Engine
from proxy.health import Health
from proxy.http import HttpClient
from proxy.preparation import Preparation
from proxy.registry import create_provider
from proxy.telemetry.setup import create_telemetry
from proxy.telemetry.spans import Telemetry
from proxy.ticker import Ticker

__all__ = ["Configuration", "Service", "load_configuration", "open_service"]


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
    created: int

    @staticmethod
    def of(scope: Scope) -> "Service":
        """Return the service that the application of a request was opened with."""
        return cast("Service", scope["state"]["service"])


def load_configuration() -> Configuration:
    """Read environment, `.env` and policy.

    Raises:
        ConfigurationError: A variable is wrong.
        PolicyError: The policy file is wrong.
    """
    environment = load_environment()
    for name, value in environment.items():
        # The OpenTelemetry SDK reads its variables itself, and knows nothing of `.env`.
        if name.startswith("OTEL_"):
            os.environ.setdefault(name, value)
    settings = load_settings(environment)
    return Configuration(settings, load_policy(settings.policy, environment), environment)


@asynccontextmanager
async def open_service(configuration: Configuration) -> AsyncGenerator[Service]:
    """Build the service; leaving closes its connections and delivers the last spans.

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
        reasons = availability(policy, environment)
        keys = api_keys(policy, environment)
        providers = {
            name: create_provider(
                row,
                key=keys[name].get_secret_value() if name in keys else None,
                client=client,
            )
            for name, row in policy.providers.items()
            if reasons[name] is None
        }
        for provider in providers.values():
            stack.push_async_callback(provider.aclose)
        engine = Engine(
            policy=policy,
            availability=reasons,
            preparation=Preparation(policy, providers, strict=policy.strict),
            timeout=settings.timeout,
        )
        yield Service(
            settings=settings,
            engine=engine,
            access=access_of(configuration),
            telemetry=telemetry,
            decisions=_decision_log(stack, settings.log_level),
            health=Health(engine),
            ticker=ticker,
            created=int(time.time()),
        )


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
