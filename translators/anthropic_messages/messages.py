"""The conversation: OpenAI's messages to the API's system prompt and turns.

https://platform.claude.com/docs/en/api/messages/create and
https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages

1. The messages between two answers of the assistant are one user turn: results of calls first,
   as the API demands, then everything else in its order.
2. The system and developer messages before everything else are the system prompt. A later one
   never joins them: that would change what the model (and its cache) has already read. Models
   that know system messages in the middle get one after the user turn it stands in; the others
   get a text in that turn.
3. A conversation that grows by an answer and what follows it keeps the turns it had.
4. What the API refuses to be without (a first user turn, something in a turn) is put there in
   fixed words, and reported.
"""

from collections.abc import Hashable
from typing import Any

from translators.anthropic_messages.calls import CallIds, call_block, function_call_block
from translators.anthropic_messages.content import (
    CACHE_FIELDS,
    Block,
    cache_mark,
    text_blocks,
    to_blocks,
)
from translators.anthropic_messages.models import ModelProfile
from translators.anthropic_messages.thoughts import REASONING_FIELDS, thoughts_of
from translators.fidelity import ReportBuilder
from translators.history import (
    EMPTY,
    INSTRUCTION,
    OPENING,
    cannot_continue,
    report_name,
    result_without_call,
)
from translators.wire.content import (
    AssistantMessage,
    FunctionMessage,
    InstructionMessage,
    Message,
    ToolMessage,
    UserMessage,
)

__all__ = ["Conversation", "to_conversation"]

_NOT_REPORTED = CACHE_FIELDS | {"annotations", "citations"}
"""What is read elsewhere, and what our own answers carry and the model has no use for."""

_READ_OF_ANSWERS = _NOT_REPORTED | REASONING_FIELDS


class Conversation:
    """Collects the turns; `system` and `turns` are the result."""

    def __init__(self, profile: ModelProfile, report: ReportBuilder) -> None:
        self.system: list[Block] = []
        self.turns: list[Block] = []
        self.called: list[str] = []
        self._profile = profile
        self._report = report
        self._ids = CallIds()
        self._results: list[Block] = []
        self._blocks: list[Block] = []
        self._instructions: list[Block] = []
        self._said = False

    def add(self, message: Message, index: int) -> None:
        """Take the next message.

        Raises:
            TranslationError: It has no counterpart there.
        """
        if isinstance(message, AssistantMessage):
            self._add_answer(message, index)
            return
        if extra := message.model_extra:
            self._report.ignored_fields("messages[]", extra, known=_NOT_REPORTED)
        match message:
            case UserMessage():
                added = to_blocks(message.content, index=index, report=self._report)
                self._add_said(added)
            case InstructionMessage():
                added = self._add_instruction(message, index)
            case ToolMessage():
                content = to_blocks(message.content, index=index, report=self._report)
                path = f"messages[{index}].tool_call_id"
                added = self._add_result(message.tool_call_id, content, path)
            case FunctionMessage():
                content, path = text_blocks(message.content), f"messages[{index}].name"
                added = self._add_result(("function", message.name), content, path)
        report_name(message, self._report)
        if extra:
            _mark(added, extra)

    def end(self) -> None:
        """Say that there are no more messages.

        Raises:
            TranslationError: The last message is one the model cannot continue from.
        """
        self._end_user_turn()
        self._check_answered()
        if not self.turns:
            self._open()
        if self.turns[-1]["role"] != "assistant":
            return
        if not self._profile.prefill:
            raise cannot_continue(self._report)
        self._trim_prefill()

    def _add_said(self, blocks: list[Block]) -> None:
        self._said = True
        self._blocks += blocks
        if blocks and self._instructions:
            self._report.emulated("messages[].role")  # They will stand after the user's words.

    def _add_instruction(self, message: InstructionMessage, index: int) -> list[Block]:
        blocks = to_blocks(message.content, index=index, report=self._report, text_only=True)
        if not self.turns and not (self._said or self._blocks or self._results):
            self.system += blocks
        elif self._profile.late_system:
            self._instructions += blocks
        else:
            self._blocks += self._emulated_instructions(blocks)
        return blocks

    def _emulated_instructions(self, blocks: list[Block]) -> list[Block]:
        if blocks:
            self._report.emulated("messages[].role")
        for block in blocks:
            block["text"] = INSTRUCTION + block["text"]
        return blocks

    def _add_result(self, key: Hashable, content: list[Block], path: str) -> list[Block]:
        id = self._ids.close(key)
        if id is None:
            raise result_without_call(path, self._report)
        block: Block = {"type": "tool_result", "tool_use_id": id}
        if content:
            block["content"] = content
        self._results.append(block)
        return [block]

    def _add_answer(self, message: AssistantMessage, index: int) -> None:
        extra, calls = message.model_extra, message.tool_calls or message.function_call
        if extra:
            self._report.ignored_fields("messages[]", extra, known=_READ_OF_ANSWERS)
        if message.audio is not None:
            raise self._report.reject(f"messages[{index}].audio", "Claude has no spoken answers.")
        report_name(message, self._report)
        blocks = to_blocks(message.content, index=index, report=self._report, text_only=True)
        if message.refusal is not None:
            blocks += text_blocks(message.refusal)
        if extra or calls:
            thoughts = thoughts_of(message, self._report)
            if not (blocks or calls):
                # An empty answer: the API refuses a turn without content, and one that ends with
                # a thought.
                if any(thoughts):
                    self._report_thoughts(message)
                return
            self._end_user_turn()
            blocks = thoughts[0] + blocks + self._calls(message, index, thoughts[1:])
            _mark(blocks, extra)
        elif blocks:
            self._end_user_turn()
        else:
            return
        if not self.turns:
            self._open()
        if self.turns[-1]["role"] == "assistant":
            self.turns[-1]["content"] += blocks
        else:
            self.turns.append({"role": "assistant", "content": blocks})

    def _calls(
        self, message: AssistantMessage, index: int, thoughts: list[list[Block]]
    ) -> list[Block]:
        blocks: list[Block] = []
        for number, call in enumerate(message.tool_calls or ()):
            blocks += thoughts[number]
            id = self._ids.open(call.id, call.id)
            blocks.append(call_block(call, id=id, report=self._report))
        if (call := message.function_call) is not None:
            id = self._ids.open(("function", call.name), f"call_fc_{index}")
            blocks.append(function_call_block(call, id=id, report=self._report))
        self.called += [block["name"] for block in blocks if block["type"] == "tool_use"]
        return blocks

    def _report_thoughts(self, message: AssistantMessage) -> None:
        """Say that an answer's thoughts are left out."""
        extra = message.model_extra or {}
        for name in sorted(REASONING_FIELDS & extra.keys()):
            if extra[name]:
                self._report.ignored(f"messages[].{name}")

    def _open(self) -> None:
        """Put a user turn first: https://platform.claude.com/docs/en/api/messages/create."""
        self._report.emulated("messages")
        self.turns.append({"role": "user", "content": text_blocks(OPENING)})

    def _end_user_turn(self) -> None:
        """Turn what came since the last answer into a user turn, and a system one after it."""
        content, instructions = self._results + self._blocks, self._instructions
        said, self._said = self._said, False
        self._results, self._blocks, self._instructions = [], [], []
        if not content and instructions:
            # A system turn must follow a user turn, and there is none.
            content, instructions = self._emulated_instructions(instructions), []
        if not content:
            if not said:
                return
            self._report.emulated("messages[].content")
            content = text_blocks(EMPTY)
        self._check_answered()
        self.turns.append({"role": "user", "content": content})
        if instructions:
            self.turns.append({"role": "system", "content": instructions})

    def _check_answered(self) -> None:
        if (key := self._ids.unanswered()) is not None:
            raise self._report.reject(
                "messages", f"the call `{key[:64]}` has no result right after it."
            )

    def _trim_prefill(self) -> None:
        # "final assistant content cannot end with trailing whitespace": a 400.
        last: dict[str, Any] = self.turns[-1]["content"][-1]
        if last["type"] == "text" and last["text"] != last["text"].rstrip():
            self._report.emulated("messages[].content")
            last["text"] = last["text"].rstrip()


def to_conversation(
    messages: list[Message], *, profile: ModelProfile, report: ReportBuilder
) -> Conversation:
    """Return the native form of `messages`.

    Raises:
        TranslationError: A message has no counterpart there.
    """
    conversation = Conversation(profile, report)
    for index, message in enumerate(messages):
        conversation.add(message, index)
    conversation.end()
    return conversation


def _mark(blocks: list[Block], extra: dict[str, Any] | None) -> None:
    """Carry a message's own cache mark, which stands for its last block."""
    mark = cache_mark(extra) if extra and blocks else None
    if mark is not None:
        blocks[-1].setdefault("cache_control", mark)
