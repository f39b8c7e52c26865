"""OpenAI's chat request to what Claude's command line is told.

1. The request is translated for the Messages API, which is what the CLI calls in the end. The
   CLI is told the model, the system prompt and the turns in ways of its own; all else goes into
   `extra`, which it lays over the body of its call (`CLAUDE_CODE_EXTRA_BODY`).
2. The tools are in `extra`, too, exactly as the Messages API takes them. Their names stand here
   once more: the CLI must know who carries a call out, so that it waits for the result.
3. The CLI takes turns of user and assistant alone, the last one the user's.
4. The CLI puts cache marks of its own behind the prompt, and the API takes four: the client's go.
5. The CLI makes images of the user's smaller that are wider than 2000 pixels or larger than half a
   MB, and puts words in place of those that it cannot read. Where there are any, the turns are in
   `extra`, too, and so replace what it would make of them.
6. An agent brings its own tools: a client's are refused, and stubs for calls of the past left out.
   It calls the API more than once, each time with more turns: those are not in `extra` then, and
   large images are what the CLI makes of them.
7. To models that are sampled the CLI says `temperature: 1` itself, and those from 4.1 on do not
   take `top_p` beside it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from translators.anthropic_messages.models import ModelProfile, profile_of
from translators.anthropic_messages.request import to_native as to_messages_api
from translators.claude_agent.caching import report_marks, unmark
from translators.claude_agent.fidelity import AGENT_RULES, ONCE, RULES
from translators.fidelity import Report, ReportBuilder
from translators.protocol import Translated
from translators.wire.request import ChatCompletionRequest

__all__ = ["ALIASES", "DIALECT", "AgentRequest", "profile_by_name", "to_native"]

DIALECT = "claude_agent"

Block = dict[str, Any]

ALIASES = frozenset({"default", "fable", "haiku", "mythos", "opus", "sonnet"})
_VERDICTS = {"web_search_options", "prompt_cache_retention"}
"""The fields on which this dialect has a verdict of its own."""

_TOLD_OTHERWISE = frozenset({"model", "messages", "system", "stream"})
_TOOLS = frozenset({"tools", "tool_choice"})
_IMAGE = "messages[].content[].image_url"


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
        own_images: Whether the CLI may send another image in the place of one of the user's.
    """

    model: str
    system: tuple[str, ...]
    turns: tuple[Block, ...]
    tools: tuple[str, ...]
    extra: Block
    betas: str = ""
    own_images: bool = False


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
        chat: OpenAI's request.
        model: The model that is asked.
        default_max_tokens: The output limit of requests that set none.
        profiles: What a model accepts, by its name.
        runs: Whether an agent is asked, which runs tools of its own.

    Raises:
        TranslationError: It cannot be expressed.
    """
    own = ReportBuilder(DIALECT)
    _judge(chat, own, runs=runs)
    report_marks(chat, own)
    profile = _through_the_cli(profiles(model))
    translated = to_messages_api(
        chat, model=model, default_max_tokens=default_max_tokens, profiles=lambda _: profile
    )
    body, headers = translated.request.body, translated.request.headers
    unmark(body)
    if "top_p" in body and "temperature" not in body and not profile.sampling_pair:
        del body["top_p"]
        own.ignored("top_p")
    images = any(map(_has_image, body["messages"]))
    if runs:
        if translated.contract is not None:
            raise own.reject("response_format", ONCE)
        if images:
            own.emulated(_IMAGE)
        body = {name: value for name, value in body.items() if name not in _TOOLS}
    request = AgentRequest(
        model=model,
        system=tuple(block["text"] for block in body.get("system", ())),
        turns=tuple(body["messages"]),
        tools=tuple(tool["name"] for tool in body.get("tools", ())),
        extra=_laid_over(body, with_turns=images and not runs),
        betas=headers.get("anthropic-beta", ""),
        own_images=runs,
    )
    report = _joined(translated.report, own.build(), without=_TOOLS if runs else frozenset())
    return Translated(request, report, choices=translated.choices, contract=translated.contract)


def _judge(chat: ChatCompletionRequest, report: ReportBuilder, *, runs: bool) -> None:
    """Give the fields their verdict that have another one here than at the Messages API."""
    rules = {**RULES, **AGENT_RULES} if runs else RULES
    fields = chat.model_dump(
        include=_VERDICTS | (AGENT_RULES.keys() if runs else set()), exclude_unset=True
    )
    report.apply(fields.items(), rules)
    for name, value in fields.items():
        if name in AGENT_RULES and value is not None and rules[name].verdict == "emulated":
            report.emulated(name)


def _through_the_cli(profile: ModelProfile) -> ModelProfile:
    return replace(profile, late_system=False, prefill=False, web_search=False)


def _laid_over(body: Block, *, with_turns: bool) -> Block:
    extra = {name: value for name, value in body.items() if name not in _TOLD_OTHERWISE}
    if with_turns:
        extra["messages"] = _marked(body["messages"])
    return extra


def _has_image(turn: Block) -> bool:
    """Whether the CLI may change an image of this turn; it leaves those in tool results alone."""
    blocks: list[Block] = turn["content"]
    return any(block["type"] == "image" and "data" in block["source"] for block in blocks)


def _marked(turns: list[Block]) -> list[Block]:
    """Return the turns with the mark that the CLI would have put on their last block."""
    *earlier, last = turns
    *others, end = last["content"]
    marked = {**end, "cache_control": {"type": "ephemeral"}}
    return [*earlier, {**last, "content": [*others, marked]}]


def _joined(first: Report, second: Report, *, without: frozenset[str]) -> Report:
    ignored = dict.fromkeys(_unmarked(first.ignored) + second.ignored)
    emulated = dict.fromkeys(_unmarked(first.emulated) + second.emulated)
    for path in without:
        emulated.pop(path, None)
    return Report(tuple(ignored), tuple(path for path in emulated if path not in ignored))


def _unmarked(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths but for what was done to marks that do not go out."""
    return tuple(path for path in paths if path != "cache_control")
