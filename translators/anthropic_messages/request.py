"""OpenAI's chat request to the body of `POST /v1/messages`.

https://platform.claude.com/docs/en/api/messages/create
"""

from collections.abc import Callable

from translators.anthropic_messages import parameters
from translators.anthropic_messages.caching import fix_mark, settle_marks
from translators.anthropic_messages.choice import Choice, to_tool_choice
from translators.anthropic_messages.content import Block, text_blocks
from translators.anthropic_messages.fidelity import RULES
from translators.anthropic_messages.messages import Conversation, to_conversation
from translators.anthropic_messages.models import ModelProfile
from translators.anthropic_messages.output import Format, to_format
from translators.anthropic_messages.schema import StrictBudget
from translators.anthropic_messages.thinking import BINDING_BETA, excludes_force, to_reasoning
from translators.anthropic_messages.tools import to_tools
from translators.anthropic_messages.web_search import to_web_search
from translators.fidelity import ReportBuilder, Rules
from translators.history import INSTRUCTION
from translators.protocol import HttpRequest, Translated
from translators.wire.request import ChatCompletionRequest

__all__ = ["DIALECT", "to_native"]

DIALECT = "anthropic_messages"

_RULES = Rules(RULES)

_VERSION = "2026-10-21"
_SAMPLING_VERSION = "2023-06-01"
_NOTHING: Block = {}


def to_native(
    chat: ChatCompletionRequest,
    *,
    model: str,
    default_max_tokens: int | None,
    profiles: Callable[[str], ModelProfile],
) -> Translated[HttpRequest]:
    """Return the native request for `model`.

    Raises:
        TranslationError: The API cannot express `chat`.
    """
    report = ReportBuilder(DIALECT)
    report.begin(chat, _RULES)
    profile, budget = profiles(model), StrictBudget()
    conversation = to_conversation(chat.messages, profile=profile, report=report)
    turns = conversation.turns
    choice = to_tool_choice(chat, profile=profile, thinks=excludes_force(chat), report=report)
    begun = turns[-1]["role"] == "assistant"
    form = to_format(chat, profile=profile, budget=budget, begun=begun, report=report)
    tools = _tools(chat, conversation, choice, profile=profile, budget=budget, report=report)
    limit = parameters.max_tokens(chat, default=default_max_tokens, profile=profile, report=report)
    generation = to_reasoning(
        chat, profile=profile, forced=choice.forced, limit=limit, turns=turns, report=report
    )
    _complete(generation, chat, form, profile=profile, report=report)
    mark = parameters.to_cache_control(chat, report)
    if choice.instruction is not None and not begun:
        mark = fix_mark(turns, mark)
        _instruct(turns, choice.instruction, profile)
    body: Block = {"model": model, "max_tokens": limit, "messages": turns}
    for name, value in (
        ("system", conversation.system + text_blocks(form.instruction)),
        ("tools", tools),
        ("tool_choice", _native_choice(chat, choice, tools)),
        ("stop_sequences", parameters.to_stop_sequences(chat.stop, report)),
        ("metadata", parameters.to_metadata(chat, report)),
        ("service_tier", parameters.to_service_tier(chat.service_tier, report)),
        ("cache_control", mark),
        ("stream", chat.stream),
    ):
        if value:
            body[name] = value
    body |= generation
    settle_marks(body, report)
    if chat.n and chat.n > 1:
        report.emulated("n")
    request = HttpRequest("/v1/messages", body, _headers(body, profile))
    return Translated(request, report.build(), choices=chat.n or 1, contract=form.contract)


def _complete(
    generation: Block,
    chat: ChatCompletionRequest,
    form: Format,
    *,
    profile: ModelProfile,
    report: ReportBuilder,
) -> None:
    """Add the form of the answer, and the sampling that goes with the thinking."""
    thinks = generation.get("thinking", _NOTHING).get("type") in ("adaptive", "enabled")
    if form.native is not None:
        generation.setdefault("output_config", {})["format"] = form.native
    generation |= parameters.to_sampling(chat, profile=profile, thinking=thinks, report=report)


def _headers(body: Block, profile: ModelProfile) -> dict[str, str]:
    old = profile.compatible or not body.keys().isdisjoint(parameters.SAMPLING)
    headers = {"anthropic-version": _SAMPLING_VERSION if old else _VERSION}
    if "block_binding" in body.get("thinking", _NOTHING):
        headers["anthropic-beta"] = BINDING_BETA
    return headers


def _tools(
    chat: ChatCompletionRequest,
    conversation: Conversation,
    choice: Choice,
    *,
    profile: ModelProfile,
    budget: StrictBudget,
    report: ReportBuilder,
) -> list[Block]:
    tools = to_tools(
        chat,
        called=conversation.called,
        allowed=choice.allowed,
        profile=profile,
        budget=budget,
        report=report,
    )
    if chat.web_search_options is None:
        return tools
    names = [str(tool["name"]) for tool in tools]
    return tools + to_web_search(chat, profile=profile, names=names, report=report)


def _native_choice(chat: ChatCompletionRequest, choice: Choice, tools: list[Block]) -> Block | None:
    """Return the choice; stubs, which stand for tools that are gone, are not to be called."""
    if tools and not (chat.tools or chat.functions or chat.web_search_options is not None):
        return {"type": "none"}
    return choice.native


def _instruct(turns: list[Block], text: str, profile: ModelProfile) -> None:
    """Say something behind the client's words, without a change to what is before."""
    if turns[-1]["role"] == "system":
        turns[-1]["content"] += text_blocks(text)
    elif profile.late_system:
        turns.append({"role": "system", "content": text_blocks(text)})
    else:
        turns[-1]["content"] += text_blocks(INSTRUCTION + text)
