"""The order of turns: who speaks first and last, and that every tool call is answered."""

from proxy.sandbox.anthropic_messages import refusals
from proxy.sandbox.anthropic_messages.blocks import (
    Message,
    ServerResult,
    ServerToolUse,
    ToolResult,
    ToolUse,
)
from proxy.sandbox.anthropic_messages.models import Traits
from proxy.sandbox.anthropic_messages.wire import Body

__all__ = ["check_loop_begins_with_thinking", "check_turns"]


def check_turns(body: Body, model: Traits) -> None:
    """Refuse an impossible conversation.

    Raises:
        Rejection: as the service words it.
    """
    messages = body.messages
    if not messages:
        raise refusals.invalid("messages: at least one message is required")
    _check_system_turns(messages, model)
    if messages[0].role != "user":
        raise refusals.invalid('messages: first message must use the "user" role')
    if messages[-1].role == "assistant":
        _check_prefill(messages[-1], model)
    _check_places(messages)
    _check_answers(messages)
    _check_offered(body)


def _check_system_turns(messages: list[Message], model: Traits) -> None:
    for i, message in enumerate(messages):
        if message.role != "system":
            continue
        if not model.system_turns:
            raise refusals.invalid("role 'system' is not supported on this model")
        before = messages[i - 1].role if i else None
        after = messages[i + 1].role if i + 1 < len(messages) else None
        if before != "user":
            raise refusals.invalid(
                f"messages.{i}: a `system` message must directly follow a `user` message"
            )
        if after not in (None, "assistant"):
            raise refusals.invalid(
                f"messages.{i}: a `system` message must be the last message or be followed by an "
                "`assistant` message"
            )
        if isinstance(message.content, list) and any(b.type != "text" for b in message.content):
            raise refusals.invalid(f"messages.{i}: `system` messages may hold only text blocks")


def check_loop_begins_with_thinking(body: Body) -> None:
    """Refuse, while thinking is enabled, results of calls that no thought came before.

    Raises:
        Rejection: as the service words it.
    """
    turns = _turns(body.messages)
    if len(turns) < 2 or isinstance(turns[-1][2][0].content, str):
        return
    if not any(isinstance(block, ToolResult) for block in turns[-1][2][0].content):
        return
    i, _, members = turns[-2]
    first = members[0].content
    kind = "text" if isinstance(first, str) else first[0].type
    if kind not in ("thinking", "redacted_thinking"):
        raise refusals.invalid(
            f"messages.{i}.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
            f"`{kind}`. When `thinking` is enabled, a final `assistant` message must start with a "
            "thinking block (preceeding the lastmost set of `tool_use` and `tool_result` blocks)."
        )


def _check_prefill(last: Message, model: Traits) -> None:
    if not isinstance(last.content, str) and isinstance((last.content or [None])[-1], _PAUSED):
        return  # An answer that paused is gone on with.
    if not model.prefill:
        raise refusals.invalid(
            "This model does not support assistant message prefill. "
            "The conversation must end with a user message."
        )
    if isinstance(last.content, str):
        text = last.content
    else:
        block = last.content[-1] if last.content else None
        text = block.text if block is not None and block.type == "text" else ""
    if text != text.rstrip():
        raise refusals.invalid(
            "messages: final assistant content cannot end with trailing whitespace"
        )


_PAUSED = (ServerToolUse, ServerResult)
_ASSISTANT_ONLY = ("tool_use", "thinking", "redacted_thinking", "server_tool_use")
_USER_ONLY = ("tool_result", "image", "container_upload")


def _check_places(messages: list[Message]) -> None:
    for i, message in enumerate(messages):
        if isinstance(message.content, str):
            continue
        for block in message.content:
            if message.role == "user" and block.type in _ASSISTANT_ONLY:
                owner = "assistant"
            elif message.role == "assistant" and block.type in _USER_ONLY:
                owner = "user"
            else:
                continue
            raise refusals.invalid(
                f"messages.{i}: `{block.type}` blocks can only be in `{owner}` messages"
            )


def _calls(message: Message) -> list[str]:
    if isinstance(message.content, str):
        return []
    return [block.id for block in message.content if isinstance(block, ToolUse)]


def _turns(messages: list[Message]) -> list[tuple[int, str, list[Message]]]:
    """Group the messages as the service does, which joins neighbours of one role."""
    turns: list[tuple[int, str, list[Message]]] = []
    for i, message in enumerate(messages):
        if message.role == "system":
            continue
        if turns and turns[-1][1] == message.role:
            turns[-1][2].append(message)
        else:
            turns.append((i, message.role, [message]))
    return turns


def _check_answers(messages: list[Message]) -> None:
    turns = _turns(messages)
    waiting: list[str] = []
    for position, (i, role, members) in enumerate(turns):
        if role == "assistant":
            waiting = [name for member in members for name in _calls(member)]
            if position == len(turns) - 1:
                _none_waiting(waiting, i)
            elif len(waiting) != len(set(waiting)):
                raise refusals.invalid(f"messages.{i}: `tool_use` ids must be unique")
        else:
            _check_results(members, waiting, i)
            waiting = []


def _check_results(members: list[Message], waiting: list[str], i: int) -> None:
    left = list(waiting)
    position, prose = 0, False
    for member in members:
        if isinstance(member.content, str):
            prose = True
            continue
        for block in member.content:
            if not isinstance(block, ToolResult):
                prose = True
            elif block.tool_use_id not in waiting:
                raise refusals.invalid(
                    f"messages.{i}.content.{position}: unexpected `tool_use_id` found in "
                    f"`tool_result` blocks: {block.tool_use_id}. Each `tool_result` block must "
                    "have a corresponding `tool_use` block in the previous message."
                )
            elif block.tool_use_id not in left:
                raise refusals.invalid(
                    f"messages.{i}.content.{position}: each tool_use must have a single result. "
                    f"Found multiple `tool_result` blocks with id: {block.tool_use_id}"
                )
            elif prose:
                # A result behind other content does not count as answering.
                _none_waiting(left, i - 1)
            else:
                left.remove(block.tool_use_id)
            position += 1
    _none_waiting(left, i - 1)


def _none_waiting(waiting: list[str], i: int) -> None:
    if waiting:
        raise refusals.invalid(
            f"messages.{i}: `tool_use` ids were found without `tool_result` blocks immediately "
            f"after: {', '.join(waiting)}. Each `tool_use` block must have a corresponding "
            "`tool_result` block in the next message."
        )


def _check_offered(body: Body) -> None:
    used = any(
        isinstance(block, ToolUse | ToolResult)
        for message in body.messages
        if not isinstance(message.content, str)
        for block in message.content
    )
    if used and not body.tools:
        raise refusals.invalid(
            "Requests which include `tool_use` or `tool_result` blocks must define tools."
        )
