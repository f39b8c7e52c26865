"""A policy to the generation that serves it: what did not change goes on, the rest is made anew."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from policy.schema import Policy, ProviderRow
from proxy.access import Access
from proxy.answer_store import MemoryAnswerStore
from proxy.availability import (
    SandboxUrls,
    api_keys,
    availability,
    cli_credentials,
    with_sandbox,
)
from proxy.claude_cli import Credential
from proxy.config import Settings
from proxy.engine import Engine
from proxy.generation import Generation, Part
from proxy.health import Health
from proxy.http import HttpClient
from proxy.http_client.options import ClientOptions
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
from proxy.registry import BUILT_IN, create_provider
from proxy.response_cache import ResponseCache
from proxy.telemetry.content.known_secrets import known_secrets
from proxy.telemetry.content.redaction import Redactor
from proxy.ticker import Ticker

__all__ = ["Assembly", "Examined", "access_under", "reasoning_store", "response_cache"]


@dataclass(frozen=True, slots=True)
class Examined:
    """A policy, and what this machine makes of it.

    Attributes:
        policy: On the sandbox, if that was asked for.
        reasons: For each provider why it cannot be used, or None.
        credentials: By provider, whose credential the Claude CLI uses.
    """

    policy: Policy
    reasons: Mapping[str, str | None]
    credentials: Mapping[str, Credential]


class Assembly:
    """Makes generations.

    Args:
        settings: Of the server.
        environment: For the providers' keys.
        ticker: Tells open answers the time.
        sandbox: Stands in for the providers; None: they are asked themselves.
    """

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        ticker: Ticker,
        sandbox: SandboxUrls | None = None,
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._ticker = ticker
        self._sandbox = sandbox
        self._http = ClientOptions.of(environment, settings.http_client)
        # What became of a provider's answers is not forgotten with a policy.
        self._gates: LiveGates | None = None

    def examine(self, policy: Policy) -> Examined:
        """Look what of a policy can be used. Blocks for as long as files and imports take."""
        if self._sandbox is not None:
            policy = with_sandbox(policy, self._sandbox)
        reasons = availability(policy, self._environment)
        for name, reason in reasons.items():
            if reason is None:
                import_module(BUILT_IN[policy.providers[name].dialect])
        return Examined(policy, reasons, cli_credentials(policy, self._environment))

    async def generation(self, found: Examined, before: Generation | None = None) -> Generation:
        """Return the generation that serves a policy; nothing is changed where that fails.

        Args:
            found: The policy.
            before: Whose parts go on where they would be made from the same.
        """
        made: list[Part[ChatProvider]] = []
        try:
            providers = await self._providers(
                found, {} if before is None else before.providers, made
            )
            media = self._media(found.policy, None if before is None else before.media)
            reasoning = self._reasoning(found.policy, None if before is None else before.reasoning)
            cache = self._cache(found.policy, reasoning, None if before is None else before.cache)
            preparation = self._preparation(found.policy, providers, reasoning.value, media.value)
            engine = Engine(
                policy=found.policy,
                availability=found.reasons,
                preparation=preparation,
                timeout=self._settings.timeout,
                reasoning=reasoning.value,
                cache=cache.value,
                gates=self._gates_of(found.policy),
                redactor=self._redactor(found.policy),
            )
            return Generation(
                engine=engine,
                access=access_under(self._settings, found.policy),
                health=Health(engine, found.credentials, self._http.proxies),
                providers=providers,
                reasoning=reasoning,
                media=media,
                cache=cache,
                number=1 if before is None else before.number + 1,
                loaded_at=time.time(),
            )
        except BaseException:
            for part in made:
                await part.let_go()
            raise

    def begin(self, generation: Generation) -> None:
        """Let a generation do what goes on beside requests; bounds that it shares are its own."""
        policy = generation.engine.policy
        if self._gates is not None:
            self._gates.follow(policy)
        for row in policy.providers.values():
            # Agents' processes get what they need of the process's own variables.
            for name in () if row.agent is None else row.agent.variables & self._environment.keys():
                os.environ.setdefault(name, self._environment[name])
        for name, part in generation.providers.items():
            if policy.reaches(name):
                part.value.start()
        bounds = policy.reasoning_store
        generation.engine.reasoning.keep_within(
            max_entries=bounds.max_entries, max_bytes=bounds.max_bytes, max_age=bounds.max_age
        )

    async def _providers(
        self,
        found: Examined,
        before: Mapping[str, Part[ChatProvider]],
        made: list[Part[ChatProvider]],
    ) -> dict[str, Part[ChatProvider]]:
        keys = api_keys(found.policy, self._environment)
        providers: dict[str, Part[ChatProvider]] = {}
        for name, row in found.policy.providers.items():
            if found.reasons[name] is not None:
                continue
            # One that no request reaches any more is made anew: it is not to keep processes ready.
            made_from = (row.unpriced, found.policy.reaches(name))
            part = before.get(name)
            if part is None or part.made_from != made_from:
                key = keys[name].get_secret_value() if name in keys else None
                client = HttpClient(self._ticker, self._http)
                part = await _provider(row, key, client, made_from)
                made.append(part)
            providers[name] = part
        return providers

    def _media(self, policy: Policy, before: Part[MediaFetcher] | None) -> Part[MediaFetcher]:
        if before is not None and before.made_from == policy.media:
            return before
        fetcher = MediaFetcher(policy.media, request_timeout=self._settings.timeout)
        return Part(fetcher, policy.media, _nothing)

    def _reasoning(
        self, policy: Policy, before: Part[ReasoningStore] | None
    ) -> Part[ReasoningStore]:
        # Its bounds change while it is used: what it remembers is not to be lost with them.
        enabled = policy.reasoning_store.enabled
        if before is not None and before.made_from == enabled:
            return before
        store = reasoning_store(self._settings, policy)
        return Part(store, enabled, store.aclose)

    def _cache(
        self,
        policy: Policy,
        reasoning: Part[ReasoningStore],
        before: Part[ResponseCache | None] | None,
    ) -> Part[ResponseCache | None]:
        # An answer is kept under the version of its persona: another policy finds only its own.
        made_from = (bool(policy.caches), policy.response_cache, reasoning.made_from)
        if before is not None and before.made_from == made_from:
            return before
        cache = response_cache(self._settings, policy, reasoning.value)
        return Part(cache, made_from, _nothing if cache is None else cache.aclose)

    def _gates_of(self, policy: Policy) -> LiveGates | None:
        if not policy.live_gates.enabled:
            return None
        if self._gates is None:
            self._gates = LiveGates(policy)
        return self._gates

    def _redactor(self, policy: Policy) -> Redactor:
        keys = [key.get_secret_value() for key in self._settings.client_keys]
        return Redactor(known_secrets(policy, self._environment, keys), policy.tracing.redact)

    def _preparation(
        self,
        policy: Policy,
        providers: Mapping[str, Part[ChatProvider]],
        reasoning: ReasoningStore,
        media: MediaFetcher,
    ) -> Preparation:
        keys = api_keys(policy, self._environment)
        realms = {
            name: realm_of(row, keys[name].get_secret_value() if name in keys else None)
            for name, row in policy.providers.items()
        }
        return Preparation(
            policy,
            {name: part.value for name, part in providers.items()},
            strict=policy.strict,
            reasoning=reasoning,
            media=media,
            realms=realms,
        )


async def _provider(
    row: ProviderRow, key: str | None, client: HttpClient, made_from: object
) -> Part[ChatProvider]:
    """Return a provider with a client of its own: no others' connections are closed with it."""
    try:
        provider = create_provider(row, key=key, client=client)
    except BaseException:
        await client.aclose()
        raise

    async def close() -> None:
        try:
            await provider.aclose()
        finally:
            await client.aclose()

    return Part(provider, made_from, close)


async def _nothing() -> None:
    """Close nothing."""


def access_under(settings: Settings, policy: Policy) -> Access:
    """Return the client keys of environment and policy."""
    keys = [key.get_secret_value() for key in settings.client_keys]
    return Access(keys, policy.client_keys)


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
