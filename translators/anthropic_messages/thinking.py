"""Whether and how deeply the model thinks: `thinking`, and `output_config.effort`.

https://platform.claude.com/docs/en/build-with-claude/thinking and .../effort

1. Models from 4.6 on think adaptively, steered by an effort. Thoughts are shown only with
   `display: "summarized"`. Models that always think may write what they say between calls into
   their thoughts, so it is always sent to them.
2. Models before 4.6 think within a budget of tokens, less than `max_tokens`; and only if the
   answer whose calls were just carried out begins with its own thoughts.
3. A call cannot be forced beside a budget: the budget goes where it came from an effort.
4. Some models check that thoughts come back in the conversation they are from. A client that
   cuts a conversation short, or a store that lost a thought, would get a 400: they are told to
   drop such thoughts and go on (`thinking-binding-controls-2026-08-01`).
"""

from typing import Any, cast

from translators.anthropic_messages.content import Block
from translators.anthropic_messages.models import ModelProfile
from translators.fidelity import ReportBuilder
from translators.wire.request import ChatCompletionRequest

__all__ = ["BINDING_BETA", "excludes_force", "to_reasoning"]

BINDING_BETA = "thinking-binding-controls-2026-08-01"
"""The beta header that `thinking.block_binding` needs."""

_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_EFFORT_NAMES = {"minimal": "low"}
_ADAPTIVE: Block = {"type": "adaptive", "display": "summarized"}
_DROP: Block = {"prefix_mismatch_behavior": "drop_block"}
_LEAST_BUDGET = 1024
_BUDGETS = {
    **{"minimal": 1024, "low": 1024, "medium": 2048, "high": 4096},
    **{"xhigh": 8192, "max": 16384},
}


def excludes_force(chat: ChatCompletionRequest) -> bool:
    """Return whether the request's own `thinking` is of the kind that no call is forced beside."""
    return _own(chat).get("type") == "enabled"


def to_reasoning(
    chat: ChatCompletionRequest,
    *,
    profile: ModelProfile,
    forced: bool,
    limit: int,
    turns: list[Block],
    report: ReportBuilder,
) -> Block:
    """Return `thinking` and `output_config` as far as they are needed.

    Args:
        chat: The request.
        profile: What the model accepts.
        forced: Whether the tool choice forces a call, with which thinking is refused.
        limit: `max_tokens`, which a budget must be less than.
        turns: The native conversation.
        report: Where to say what was not carried over.
    """
    native = _reasoning(chat, profile=profile, forced=forced, limit=limit, report=report)
    thinking = native.get("thinking", {})
    if thinking.get("type") == "enabled" and _is_thoughtless_loop(turns):
        report.ignored("thinking" if _own(chat) else "reasoning_effort")
        del native["thinking"]
    elif thinking.get("type") == "adaptive" and profile.bound_thoughts:
        native["thinking"] = {"block_binding": _DROP, **thinking}
    return native


def _reasoning(
    chat: ChatCompletionRequest,
    *,
    profile: ModelProfile,
    forced: bool,
    limit: int,
    report: ReportBuilder,
) -> Block:
    effort = chat.reasoning_effort
    if (own := _own(chat)) or (chat.model_extra or {}).get("thinking") is not None:
        native = _given(own, profile=profile, limit=limit, report=report)
        if not native and own.get("type") != "disabled":
            report.ignored("thinking")
        if effort is not None and effort != "none" and profile.efforts:
            native["output_config"] = {"effort": _effort(effort, profile, report)}
        elif effort is not None:
            report.ignored("reasoning_effort")
        return native
    if profile.efforts:
        return _adaptive(effort, profile=profile, forced=forced, report=report)
    # Without `thinking` these models do not think, which is what "none" asks for.
    if effort in (None, "none"):
        return {}
    budget = _BUDGETS.get(effort)
    if budget is None or forced or not profile.budgets or limit <= _LEAST_BUDGET:
        report.ignored("reasoning_effort")
        return {}
    report.emulated("reasoning_effort")
    return _budget(budget, limit)


def _given(own: Block, *, profile: ModelProfile, limit: int, report: ReportBuilder) -> Block:
    """Return the request's own `thinking` in the form that the model takes; empty if it has none.

    Each generation takes another: https://platform.claude.com/docs/en/build-with-claude/thinking
    """
    kind = own.get("type")
    if profile.compatible or not own:
        return {"thinking": own} if own else {}
    if kind == "enabled" and not profile.budgets and profile.efforts:
        report.emulated("thinking")
        return {"thinking": dict(_ADAPTIVE)}
    if kind == "adaptive" and not profile.efforts and profile.budgets and limit > _LEAST_BUDGET:
        report.emulated("thinking")
        return _budget(_BUDGETS["high"], limit)
    if kind == "disabled" and profile.always_thinks:
        report.emulated("thinking")
        return {"thinking": dict(_ADAPTIVE), "output_config": {"effort": _fitting("low", profile)}}
    if not profile.efforts and (kind == "adaptive" or (kind == "enabled" and not profile.budgets)):
        return {}
    budget = own.get("budget_tokens")
    if kind == "enabled" and isinstance(budget, int) and budget >= limit:
        if limit <= _LEAST_BUDGET:
            return {}
        report.emulated("thinking")
        return {"thinking": {**own, "budget_tokens": limit - 1}}
    return {"thinking": own}


def _adaptive(
    effort: str | None, *, profile: ModelProfile, forced: bool, report: ReportBuilder
) -> Block:
    shown: Block = {} if forced else {"thinking": dict(_ADAPTIVE)}
    if effort is None:
        return shown if profile.always_thinks else {}
    if effort == "none":
        if not profile.always_thinks:
            return {"thinking": {"type": "disabled"}}
        report.emulated("reasoning_effort")
        return {**shown, "output_config": {"effort": _fitting("low", profile)}}
    if forced:
        report.emulated("reasoning_effort")
    return {**shown, "output_config": {"effort": _effort(effort, profile, report)}}


def _effort(effort: str, profile: ModelProfile, report: ReportBuilder) -> str:
    native = _fitting(_EFFORT_NAMES.get(effort, effort), profile)
    if native != effort:
        report.emulated("reasoning_effort")
    return native


def _fitting(effort: str, profile: ModelProfile) -> str:
    """Return the highest effort of the model that is not above `effort`, else its lowest."""
    known = [name for name in _EFFORTS if name in profile.efforts]
    if effort not in _EFFORTS or not known:
        return effort  # Newer than this table: the API knows whether it takes it.
    below = [name for name in known if _EFFORTS.index(name) <= _EFFORTS.index(effort)]
    return below[-1] if below else known[0]


def _budget(tokens: int, limit: int) -> Block:
    return {"thinking": {"type": "enabled", "budget_tokens": min(tokens, limit - 1)}}


def _own(chat: ChatCompletionRequest) -> Block:
    own: Any = (chat.model_extra or {}).get("thinking")
    return cast("Block", own) if isinstance(own, dict) else {}


def _is_thoughtless_loop(turns: list[Block]) -> bool:
    """Return whether the calls that were just carried out belong to an answer without thoughts.

    "When thinking is enabled, a final assistant message must start with a thinking block
    (preceding the last set of tool_use and tool_result blocks)": a 400.
    """
    spoken = [turn for turn in turns if turn["role"] != "system"]
    last: list[Block] = spoken[-1]["content"] if spoken else []
    if len(spoken) < 2 or not any(block["type"] == "tool_result" for block in last):
        return False
    first: Block = spoken[-2]["content"][0]
    return first["type"] not in ("thinking", "redacted_thinking")
