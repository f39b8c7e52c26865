"""The composition root: configuration to everything that serves a request."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from starlette.types import Scope

from policy.schema import Policy
from proxy.access import Access
from proxy.assembly import Assembly, access_under
from proxy.config import (
    ConfigurationError,
    Settings,
    load_environment,
    load_policy,
    load_settings,
)
from proxy.decision_log import DecisionLog, LineWriter
from proxy.decisions import record
from proxy.decisions.store import DecisionStore
from proxy.exchange import Caller, Exchange, error_type
from proxy.file_watch import Stamp, Stamps, stamp
from proxy.generation import Generation, Generations
from proxy.logs.lines import STDERR, format_for
from proxy.metrics_page import MetricsPage
from proxy.reload import Reloader
from proxy.state_gauges import StateGauges
from proxy.telemetry.metrics.metering import Metering, open_metering
from proxy.telemetry.metrics.recorder import NO_METRICS, Recorder, RequestMetrics
from proxy.telemetry.setup import create_telemetry
from proxy.telemetry.spans import Telemetry
from proxy.ticker import Ticker
from proxy.workers import shared_folder
from translators.errors import ExecutionPlatformError

if TYPE_CHECKING:
    from proxy.decisions.siblings import Siblings
    from proxy.sandbox.server import SandboxServer

__all__ = [
    "Configuration",
    "Service",
    "check_reasoning_store",
    "load_configuration",
    "open_service",
]


@dataclass(frozen=True, slots=True)
class Configuration:
    """What was read before anything is served.

    Attributes:
        settings: Of the server.
        policy: Personas and provider rows.
        environment: The process's variables over those of `.env`; holds the providers' keys.
        stamps: Of one's own files that the policy was read from.
    """

    settings: Settings
    policy: Policy
    environment: Mapping[str, str]
    stamps: Stamps = field(default_factory=dict[Path, Stamp | None])


@dataclass(frozen=True, slots=True)
class Service:
    """What the endpoints need, for as long as the server runs."""

    settings: Settings
    generations: Generations
    telemetry: Telemetry
    decisions: DecisionLog
    ticker: Ticker
    created: int
    kept: DecisionStore = field(default_factory=lambda: DecisionStore(0))
    siblings: "Siblings | None" = None
    reloader: Reloader | None = None
    metrics: RequestMetrics = NO_METRICS
    metrics_page: MetricsPage | None = None

    @property
    def generation(self) -> Generation:
        """What serves a request that comes now: engine, client keys, health. Enter it for that."""
        return self.generations.current

    @staticmethod
    def of(scope: Scope) -> "Service":
        """Return the service that the application of a request was opened with."""
        return cast("Service", scope["state"]["service"])

    def policy_state(self) -> Mapping[str, Any]:
        """Return which policy serves, since when, and what is wrong with its file now."""
        current, file = self.generation, self.settings.policy
        loaded_at = datetime.fromtimestamp(current.loaded_at, UTC)
        return {
            "generation": current.number,
            "loaded_at": loaded_at.isoformat(timespec="seconds"),
            "file": None if file is None else str(file),
            "error": None if self.reloader is None else self.reloader.error,
        }

    def finish(
        self,
        exchange: Exchange,
        *,
        status: int | None,
        error: ExecutionPlatformError | None = None,
    ) -> None:
        """End the span of a request that is over; write its line in the log, and keep its record.

        Args:
            exchange: The request's record.
            status: Of the response, if one was begun.
            error: What a front refused it for, apart from the engine's own error.
        """
        exchange.span.end(
            status=status,
            attributes=exchange.attributes() if exchange.span.is_recording else (),
            error_type=error_type(error or exchange.error),
        )
        self.metrics.finished(exchange, error, self.generation.engine.policy)
        if self.decisions.is_on or self.kept.is_running(exchange):
            found = record.over(exchange, status=status, error=error)
            self.kept.end(exchange, found)
            self.decisions.write(found)

    def refuse(
        self,
        request_id: str,
        caller: Caller | None,
        *,
        trace_id: str | None,
        status: int | None,
        error: ExecutionPlatformError,
    ) -> None:
        """Write the line of a request that was refused before it was read, and keep its record.

        Args:
            request_id: Of the request.
            caller: Who made it; None: nobody we know, and then nobody can ask for its record.
            trace_id: Of its trace, if there is one.
            status: Of the response, if one was begun.
            error: Why.
        """
        found = record.refused(request_id, caller, trace_id=trace_id, status=status, error=error)
        if caller is not None:
            self.kept.keep(caller.tenant, found)
        self.decisions.write(found)


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
    stamps: dict[Path, Stamp | None] = {}

    def seen(path: Path) -> None:
        stamps[path] = stamp(path)

    policy = load_policy(settings.policy, environment, seen=seen)
    return Configuration(settings, policy, environment, stamps)


@asynccontextmanager
async def open_service(
    configuration: Configuration, *, serves: bool = False
) -> AsyncGenerator[Service]:
    """Build the service; leaving closes its connections and delivers the last spans.

    What is entered here is no `asynccontextmanager` itself: an event loop that ends closes all
    asynchronous generators at once, and the programs that have us inside leave this to it.

    Args:
        configuration: What is served.
        serves: Whether it is for a server, which takes a policy that changes, keeps requests'
            records, and may be scraped. `execution_platform` reads the policy again with each
            router that is made.

    Raises:
        TelemetryError: An `OTEL_*` variable asks for something that is not there.
    """
    settings, policy = configuration.settings, configuration.policy
    environment = configuration.environment
    async with AsyncExitStack() as stack:
        telemetry = create_telemetry(environment, content_bytes=settings.trace_content_bytes)
        stack.push_async_callback(telemetry.shutdown)
        metering = open_metering(environment, page=serves and settings.metrics)
        stack.push_async_callback(metering.meters.aclose)
        sandbox = await _sandbox(stack) if settings.sandbox else None
        ticker = Ticker()
        stack.callback(ticker.close)
        assembly = Assembly(settings, environment, ticker, sandbox)
        # In a program's own event loop: files and imports are not to hold it up.
        first = await assembly.generation(await asyncio.to_thread(assembly.examine, policy))
        generations = Generations(first)
        stack.push_async_callback(generations.aclose)
        assembly.begin(first)
        reloader = _reloader(stack, configuration, assembly, generations) if serves else None
        metrics, page = _metrics(stack, metering, generations, reloader, telemetry)
        kept = DecisionStore(settings.decisions if serves else 0)
        yield Service(
            settings=settings,
            generations=generations,
            telemetry=telemetry,
            decisions=_decision_log(stack, settings),
            ticker=ticker,
            created=int(time.time()),
            kept=kept,
            siblings=await _siblings(stack, kept),
            reloader=reloader,
            metrics=metrics,
            metrics_page=page,
        )


async def _sandbox(stack: AsyncExitStack) -> "SandboxServer":
    # Imported here: without the sandbox none of it is needed.
    from proxy.sandbox.server import SandboxServer  # noqa: PLC0415

    return await stack.enter_async_context(SandboxServer())


def _metrics(
    stack: AsyncExitStack,
    metering: Metering,
    generations: Generations,
    reloader: Reloader | None,
    telemetry: Telemetry,
) -> tuple[RequestMetrics, MetricsPage | None]:
    """Return what takes note of requests, and the page that shows it, if there is one."""
    if not metering.on:
        return NO_METRICS, None
    gauges = StateGauges(
        metering.meters,
        generations,
        is_wrong=lambda: reloader is not None and reloader.error is not None,
        spans=telemetry.counts,
    )
    stack.callback(gauges.close)
    page = None if metering.page is None else MetricsPage(metering.page, gauges.look)
    return Recorder(metering.meters, generations.current.engine.policy), page


def _reloader(
    stack: AsyncExitStack,
    configuration: Configuration,
    assembly: Assembly,
    generations: Generations,
) -> Reloader:
    settings = configuration.settings
    reloader = Reloader(
        partial(load_policy, settings.policy, configuration.environment),
        configuration.stamps,
        settings=settings,
        assembly=assembly,
        generations=generations,
    )
    stack.push_async_callback(reloader.aclose)
    return reloader


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


async def _siblings(stack: AsyncExitStack, kept: DecisionStore) -> "Siblings | None":
    """Return the other processes that serve beside this one; None: it is the only one."""
    folder = shared_folder()
    if folder is None or not kept.is_on:
        return None
    # Imported here: the only process has none.
    from proxy.decisions.siblings import Siblings  # noqa: PLC0415

    siblings = Siblings(folder, kept.find)
    await siblings.start()
    stack.push_async_callback(siblings.aclose)
    return siblings


def _decision_log(stack: AsyncExitStack, settings: Settings) -> DecisionLog:
    if settings.log_level not in _TALKATIVE:
        return DecisionLog(None)
    log_format = format_for(settings.log_format)
    writer = LineWriter(STDERR, log_format)
    stack.callback(writer.close)
    return DecisionLog(writer.write, log_format)


def access_of(configuration: Configuration) -> Access:
    """Return the client keys of a configuration."""
    return access_under(configuration.settings, configuration.policy)


_TALKATIVE = ("debug", "info")
