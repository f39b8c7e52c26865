"""OpenAI's chat request to what Claude's command line is told.

1. The request is translated for the Messages API, which is what the CLI calls in the end. The
   CLI is told the model, the system prompt and the turns in ways of its own; all else goes into
   `extra`, which it lays over the body of its call (`CLAUDE_CODE_EXTRA_BODY`).
2. The tools are in `extra`, too, exactly as the Messages API takes them. Their names stand here
   once more: the CLI must know who carries a call out, so that it waits for the result.
3. The CLI takes turns of user and assistant alone, the last one the user's.
4. The CLI puts cache marks of its own behind the prompt, and the API takes four: the client's go.
5. An agent brings its own tools: a client's are refused, and stubs for calls of the past left out.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from translators.anthropic_messages.models import ModelProfile, profile_of
from translators.anthropic_messages.request import to_native as to_messages_api
from translators.claude_agent.fidelity import AGENT_RULES, ONCE, RULES
from translators.fidelity import Report, ReportBuilder
from translators.protocol import Translated
from translators.wire.request import ChatCompletionRequest

__all__ = ["ALIASES", "DIALECT", "AgentRequest", "profile_by_name", "to_native"]

DIALECT = "claude_agent"

Block = dict[str, Any]

ALIASES = frozenset({"default", "fable", "haiku", "mythos", "opus", "sonnet"})
_TOLD_OTHERWISE = frozenset({"model", "messages", "system", "stream"})
_TOOLS = frozenset({"tools", "tool_choice"})


@dataclass(frozen=True, slots=True)
class AgentRequest:
    """A native request.

    Attributes:
        model: A model's name, or one of the CLI's aliases (`sonnet`).
        system: The texts of the system prompt.
        turns: The conversation in the form of the Messages API, user and assistant by turns; the
            last one is the user's.
        tools: The names of the client's tools.
        extra: For the body of the CLI's own call: `max_tokens`, `tools`, `thinking`, ...
        betas: What the call needs in its `anthropic-beta` header; empty: nothing.
    """

    model: str
    system: tuple[str, ...]
    turns: tuple[Block, ...]
    tools: tuple[str, ...]
    extra: Block
    betas: str = ""


def profile_by_name(model: str) -> ModelProfile:
    """Return what `model` accepts; an alias stands for the newest of its family."""
    return profile_of(f"claude-{model}" if model in ALIASES else model)


def to_native(
    chat: ChatCompletionRequest,
    *,
    model: str,
    default_max_tokens: int | None = None,
    profiles: Callable[[str], ModelProfile] = profile_by_name,
    runs: bool = False,
) -> Translated[AgentRequest]:
    """Return the native request for `model`.

    Args:
        chat: The request.
        model: Its name or alias.
        default_max_tokens: The limit of an answer where `chat` sets none.
        profiles: What a model accepts, by its name.
        runs: Whether an agent is asked, which runs tools of its own.

    Raises:
        TranslationError: It cannot be expressed.
    """
    own = ReportBuilder(DIALECT)
    _judge(chat, own, runs=runs)
    translated = to_messages_api(
        chat,
        model=model,
        default_max_tokens=default_max_tokens,
        profiles=lambda name: _through_the_cli(profiles(name)),
    )
    body, headers = translated.request.body, translated.request.headers
    if _unmark(body):
        own.emulated("cache_control")
    report = _joined(translated.report, own.build())
    if runs:
        if translated.contract is not None:
            raise own.reject("response_format", ONCE)
        for name in _TOOLS:
            body.pop(name, None)
        report = replace(report, emulated=tuple(p for p in report.emulated if p not in _TOOLS))
    request = AgentRequest(
        model=model,
        system=tuple(block["text"] for block in body.get("system", ())),
        turns=tuple(body["messages"]),
        tools=tuple(tool["name"] for tool in body.get("tools", ())),
        extra={name: value for name, value in body.items() if name not in _TOLD_OTHERWISE},
        betas=headers.get("anthropic-beta", ""),
    )
    return Translated(request, report, choices=translated.choices, contract=translated.contract)


def _judge(chat: ChatCompletionRequest, report: ReportBuilder, *, runs: bool) -> None:
    """Give the fields their verdict that have another one here than at the Messages API."""
    rules = {**RULES, **AGENT_RULES} if runs else RULES
    names = {"web_search_options", *(AGENT_RULES if runs else ())}
    fields = chat.model_dump(include=names, exclude_unset=True)
    report.apply(fields.items(), rules)
    for name, value in fields.items():
        if runs and value is not None and rules[name].verdict == "emulated":
            report.emulated(name)


def _through_the_cli(profile: ModelProfile) -> ModelProfile:
    return replace(profile, late_system=False, prefill=False, web_search=False)


def _joined(first: Report, second: Report) -> Report:
    return Report(
        tuple(dict.fromkeys(first.ignored + second.ignored)),
        tuple(dict.fromkeys(first.emulated + second.emulated)),
    )


def _unmark(body: Block) -> bool:
    """Take the cache marks out of `body`; return whether there were any."""
    found = body.pop("cache_control", None) is not None
    for block in _blocks(body):
        found |= block.pop("cache_control", None) is not None
    return found


def _blocks(body: Block) -> Iterator[Block]:
    yield from body.get("tools", ())
    yield from body.get("system", ())
    for turn in body["messages"]:
        for block in turn["content"]:
            yield block
            if block["type"] == "tool_result":
                yield from block.get("content", ())
