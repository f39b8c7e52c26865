"""A request made ready for one target: what the engine does between decision and attempt.

In this order, for what is learned early saves the rest: the persona's prompt and parameters are
laid over the request, what an earlier answer left for its next turn is put back, media that the
provider would not fetch are fetched, the request is translated, and an answer that the provider
cannot give in one go (several choices, checked JSON) is arranged for.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from policy.decision import Decision
from policy.personas import apply
from policy.schema import Policy, Target
from proxy.exchange import Exchange
from proxy.provider import ChatProvider, Prepared
from translators.errors import TranslationError
from translators.protocol import ResponseContext
from translators.wire.request import ChatCompletionRequest

__all__ = ["Preparation"]


@dataclass(frozen=True)
class Preparation:
    """Prepares requests.

    Attributes:
        policy: For the personas.
        providers: Those that can be used.
        strict: Refuse a request of which a provider would ignore something.
    """

    policy: Policy
    providers: Mapping[str, ChatProvider]
    strict: bool = False

    async def prepare(self, exchange: Exchange, decision: Decision, target: Target) -> Prepared:
        """Return the exchange's request, ready to be sent to `target`.

        Raises:
            TranslationError: The target's API cannot express it, or would ignore something and
                the request is strict.
        """
        # Made anew for each target and let go: most requests have only one.
        chat = apply(exchange.request, self.policy.personas.get(decision.persona))
        provider = self.providers[target.provider]
        context = _context(exchange, chat, target)
        prepared = provider.prepare(chat, model=target.model, context=context)
        self._check_strict(exchange, prepared, target)
        return prepared

    def _check_strict(self, exchange: Exchange, prepared: Prepared, target: Target) -> None:
        ignored = prepared.report.ignored
        if ignored and (exchange.strict or self.strict):
            raise TranslationError(
                f"`{ignored[0]}` would be ignored by the provider `{target.provider}`, and "
                f"{'the request' if exchange.strict else 'this server'} is strict: "
                "leave it out, or relax "
                f"{'the header `x-ep-strict`' if exchange.strict else '`strict` in its policy'}.",
                param=ignored[0],
            )


def _context(exchange: Exchange, chat: ChatCompletionRequest, target: Target) -> ResponseContext:
    return ResponseContext(
        id=f"chatcmpl-{exchange.request_id.removeprefix('req_')}",
        created=int(time.time()),
        model=target.model,
        include_usage=chat.wants_usage,
        custom_tools=chat.custom_tool_names,
        legacy_functions=chat.uses_functions,
    )
