"""`tokens`: what a request's prompt would cost, as its provider counts it."""

import argparse
import asyncio
from dataclasses import dataclass

from policy.decision import Decision, decide
from policy.schema import Policy, Target
from policy.spelling import did_you_mean, listed
from proxy.cli.asking import Asking, asking
from proxy.cli.request_file import read_request
from proxy.cli.table import columns
from proxy.counting import count_tokens, counting_provider, counting_row, prompt_of
from proxy.exchange import Exchange
from proxy.media.fetcher import MediaFetcher
from proxy.preparation import Preparation
from proxy.service import Configuration, load_configuration
from translators.errors import InvalidRequest, TranslationError
from translators.json import encode
from translators.wire.request import ChatCompletionRequest

__all__ = ["run"]


@dataclass(frozen=True, slots=True)
class _Count:
    # The fields of `--json`, in this order.
    persona: str
    provider: str
    model: str
    dialect: str
    input_tokens: int


def run(options: argparse.Namespace) -> int:
    """Print the count for the first provider that the request would go to, or for a named one."""
    configuration = load_configuration()
    chat = read_request(options.file, persona=options.persona, called=options.file)
    count, passed_over = asyncio.run(_counted(configuration, chat, options.provider))
    if options.json:
        over = [{"provider": name, "reason": reason} for name, reason in passed_over]
        print(encode({**_fields(count), "passed_over": over}).decode())
        return 0
    rows = [
        ("Persona", count.persona),
        ("Asked", f"{count.provider}, {count.model} ({count.dialect})"),
        ("Prompt", f"{count.input_tokens:,} tokens"),
    ]
    print(columns(rows))
    if passed_over:
        print("\nPassed over")
        print(columns(passed_over, indent="  "))
    return 0


def _fields(count: _Count) -> dict[str, str | int]:
    return {name: getattr(count, name) for name in _Count.__slots__}


async def _counted(
    configuration: Configuration, chat: ChatCompletionRequest, wanted: str | None
) -> tuple[_Count, list[tuple[str, str]]]:
    """Return the count of the first target that can express the request, and why others cannot."""
    passed_over: list[tuple[str, str]] = []
    async with asking(configuration) as providers:
        decision = decide(chat, providers.policy, providers.reasons)
        media = MediaFetcher(providers.policy.media, request_timeout=configuration.settings.timeout)
        refusal: TranslationError | None = None
        for target in _targets(decision, providers.policy, wanted):
            try:
                count = await _count(providers, media, chat, decision, target)
            except TranslationError as error:
                refusal = error
                passed_over.append((target.provider, error.message))
            else:
                return count, passed_over
    raise refusal or RuntimeError("a decision has a target")


async def _count(
    providers: Asking,
    media: MediaFetcher,
    chat: ChatCompletionRequest,
    decision: Decision,
    target: Target,
) -> _Count:
    name = target.provider
    asked = providers.policy.providers[name]
    row = counting_row(name, asked)
    provider = counting_provider(row, key=providers.key(name), client=providers.client)
    policy = providers.policy.replace(providers={**providers.policy.providers, name: row})
    exchange = Exchange(chat=chat, request_id="req_tokens")
    # What the engine does before it translates: the persona laid over, media in their place.
    preparation = Preparation(policy, {name: provider}, media=media)
    try:
        ready = await preparation.chat_for(exchange, decision, target)
    finally:
        exchange.let_media_go()
    if row.dialect != asked.dialect and asked.api == "auto":
        ready = prompt_of(ready)
    translated = provider.translator.request(ready, model=target.model)
    return _Count(
        persona=decision.persona,
        provider=name,
        model=target.model,
        dialect=row.dialect,
        input_tokens=await count_tokens(provider, row, translated.request),
    )


def _targets(decision: Decision, policy: Policy, wanted: str | None) -> tuple[Target, ...]:
    """Return the targets to try.

    Raises:
        InvalidRequest: The wanted provider is none of them; says why.
    """
    if wanted is None:
        return decision.targets
    if wanted not in policy.providers:
        hint = did_you_mean(wanted, policy.providers)
        known = listed(sorted(policy.providers))
        raise InvalidRequest(f"Unknown provider `{wanted}`. {hint} Known: {known}.")
    if found := tuple(t for t in decision.targets if t.provider == wanted):
        return found
    for rejection in decision.rejected:
        if rejection.provider == wanted:
            raise InvalidRequest(f"`{wanted}` cannot serve this request: {rejection.detail}.")
    asked = listed(target.provider for target in decision.targets)
    raise InvalidRequest(f"`{decision.persona}` does not ask `{wanted}`. It would ask: {asked}.")
