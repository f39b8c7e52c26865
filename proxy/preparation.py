"""A request made ready for one target: what the engine does between decision and attempt.

In this order, for what is learned early saves the rest: the persona's prompt and parameters are
laid over the request, what an earlier answer left for its next turn is put back, media that the
provider would not fetch are fetched, the request is translated, and an answer that the provider
cannot give in one go (several choices, checked JSON) is arranged for.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from policy.decision import Decision
from policy.media import MediaRules
from policy.personas import apply
from policy.schema import Policy, ProviderRow, Target
from proxy.arranged import arranged
from proxy.exchange import Exchange
from proxy.media.fetcher import MediaFetcher
from proxy.provider import ChatProvider, Prepared
from proxy.reasoning_store import NO_REASONING_STORE, ReasoningStore, of_realm, realm_of
from proxy.refused_reasoning import RefusedReasoning
from translators.errors import TranslationError
from translators.fidelity import Report
from translators.protocol import ResponseContext
from translators.reasoning import VENDORS, bare_calls, has_reasoning, of_vendor, restore
from translators.wire.request import ChatCompletionRequest

__all__ = ["Preparation"]


@dataclass(frozen=True)
class Preparation:
    """Prepares requests.

    Attributes:
        policy: For the personas.
        providers: Those that can be used.
        strict: Refuse a request of which a provider would ignore something.
        reasoning: What earlier answers left for their next turn.
        media: Fetches the media that a provider does not fetch itself.
        realms: Where each provider's reasoning is worth something; a row that is missing has no
            key of its own.
    """

    policy: Policy
    providers: Mapping[str, ChatProvider]
    strict: bool = False
    reasoning: ReasoningStore = NO_REASONING_STORE
    media: MediaFetcher = field(default_factory=lambda: MediaFetcher(MediaRules()))
    realms: Mapping[str, str] = field(default_factory=dict[str, str])

    def realm(self, provider: str) -> str:
        """Return the realm of a provider, as `realm_of` has it."""
        known = self.realms.get(provider)
        return realm_of(self.policy.providers[provider], None) if known is None else known

    async def prepare(self, exchange: Exchange, decision: Decision, target: Target) -> Prepared:
        """Return the exchange's request, ready to be sent to `target`.

        Raises:
            TranslationError: The target's API cannot express it, or would ignore something and
                the request is strict.
        """
        chat = await self.chat_for(exchange, decision, target)
        provider = self.providers[target.provider]
        context = _context(exchange, chat, target)
        plain = partial(provider.prepare, model=target.model, context=context)
        tell = partial(self._without_reasoning, exchange, target)

        def prepare(chat: ChatCompletionRequest) -> Prepared:
            return RefusedReasoning(plain, chat, tell) if has_reasoning(chat) else plain(chat)

        prepared = arranged(prepare, chat, context)
        self.check_strict(exchange, target, prepared.report)
        return prepared

    async def chat_for(
        self, exchange: Exchange, decision: Decision, target: Target
    ) -> ChatCompletionRequest:
        """Return the exchange's request as it is to be translated for `target`.

        Raises:
            TranslationError: A medium that the target would not fetch cannot be had.
        """
        # Made anew for each target and let go: most requests have only one.
        chat = apply(exchange.request, self.policy.personas.get(decision.persona))
        chat = await self._with_reasoning(exchange, chat, target)
        provider = self.providers[target.provider]
        if addresses := provider.media_to_fetch(chat, model=target.model):
            chat = await self.media.put_in_place(
                exchange, chat, addresses, provider=target.provider
            )
        return chat

    async def _with_reasoning(
        self, exchange: Exchange, chat: ChatCompletionRequest, target: Target
    ) -> ChatCompletionRequest:
        """Return `chat` with what its calls carried, where the client did not send it back."""
        exchange.restored = 0
        vendor = _vendor(self.policy.providers[target.provider])
        if vendor is None or not (ids := bare_calls(chat.messages)):
            return chat
        if exchange.recalled is None:
            # Once for all targets: their calls are the same, and a store may be slow to say no.
            exchange.recalled = await self.reasoning.recall(exchange.caller.tenant, ids)
        entries = of_vendor(of_realm(exchange.recalled, self.realm(target.provider)), vendor)
        exchange.restored = len(entries)
        return restore(chat, entries)

    def _without_reasoning(self, exchange: Exchange, target: Target, report: Report) -> None:
        """Take the report of a request whose reasoning the provider has refused.

        Raises:
            TranslationError: The request is strict, and its client sent some of it.
        """
        self.check_strict(exchange, target, report)
        exchange.report = report
        exchange.restored = 0

    def check_strict(self, exchange: Exchange, target: Target, report: Report) -> None:
        """Refuse a request of which `target` would ignore something, where it is strict.

        Raises:
            TranslationError: It names the first of what would be ignored.
        """
        ignored = report.ignored
        if ignored and (exchange.strict or self.strict):
            raise TranslationError(
                f"`{ignored[0]}` would be ignored by the provider `{target.provider}`, and "
                f"{'the request' if exchange.strict else 'this server'} is strict: "
                "leave it out, or relax "
                f"{'the header `x-ep-strict`' if exchange.strict else '`strict` in its policy'}.",
                param=ignored[0],
            )


def _vendor(row: ProviderRow) -> str | None:
    """Return whose reasoning the server of a row may want back; None: nobody's."""
    if row.dialect == "openai_chat" and row.api != "chat":
        # It may refer to Responses whenever it is asked, which another process may have learned.
        return VENDORS["openai_responses"]
    return VENDORS.get(row.dialect)


_NO_NAMES: Final[frozenset[str]] = frozenset()
"""One for all: each empty set made anew is 216 bytes, for as long as an answer lasts."""


def _context(exchange: Exchange, chat: ChatCompletionRequest, target: Target) -> ResponseContext:
    return ResponseContext(
        id=f"chatcmpl-{exchange.request_id.removeprefix('req_')}",
        created=int(time.time()),
        model=target.model,
        include_usage=chat.wants_usage,
        custom_tools=chat.custom_tool_names or _NO_NAMES,
        legacy_functions=chat.uses_functions,
    )
