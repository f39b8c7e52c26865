"""The conversation: OpenAI's messages to the API's input items.

https://developers.openai.com/api/reference/resources/responses/methods/create, `input`

1. Every message stays in its place, the system's and the developer's too: the API knows their
   roles among the items. Only results of calls are put before what else follows those calls.
2. An earlier answer is its reasoning items, its text and its calls, in the order it had them.
3. A conversation that grows by an answer and what follows it keeps the items it had.
"""

from translators.fidelity import ReportBuilder
from translators.history import report_name, result_without_call
from translators.openai_responses.calls import Calls
from translators.openai_responses.content import Item, said_parts, to_content
from translators.openai_responses.models import ModelProfile
from translators.openai_responses.reasoning import MESSAGE_FIELDS, Reasoned, ReasoningHistory
from translators.wire.content import (
    AssistantMessage,
    FunctionMessage,
    InstructionMessage,
    Message,
    ToolMessage,
    UserMessage,
)

__all__ = ["to_items"]

_NOT_REPORTED = frozenset({"annotations", "citations", *MESSAGE_FIELDS})
"""What is read elsewhere, and what our own answers carry and the model has no use for."""


class _Conversation:
    """Collects the items."""

    def __init__(self, profile: ModelProfile, report: ReportBuilder) -> None:
        self.items: list[Item] = []
        self._profile = profile
        self._report = report
        self._calls = Calls(report)
        self._reasoning = ReasoningHistory(report, wanted=profile.thinks is not False)
        self._results: list[Item] = []
        self._said: list[Item] = []

    def add(self, message: Message, index: int) -> None:
        """Take the next message.

        Raises:
            TranslationError: It has no counterpart there.
        """
        if extra := message.model_extra:
            self._report.ignored_fields("messages[]", extra, known=_NOT_REPORTED)
        report_name(message, self._report)
        match message:
            case UserMessage() | InstructionMessage():
                self._add_said(message, index)
            case AssistantMessage():
                self._add_answer(message, index)
            case ToolMessage():
                output = to_content(message.content, index=index, report=self._report)
                path = f"messages[{index}].tool_call_id"
                self._add_result(message.tool_call_id, output, path)
            case FunctionMessage():
                key = ("function", message.name)
                self._add_result(key, message.content or "", f"messages[{index}].name")

    def end_turn(self) -> None:
        """Add what came since the last answer.

        Raises:
            TranslationError: A call of that answer has no result.
        """
        self.items += self._results + self._said
        self._results, self._said = [], []
        if (id := self._calls.unanswered()) is not None:
            raise self._report.reject(
                "messages", f"the call `{id[:64]}` has no result right after it."
            )

    def _add_said(self, message: InstructionMessage | UserMessage, index: int) -> None:
        only_text = message.role != "user"
        content = to_content(message.content, index=index, report=self._report, text_only=only_text)
        self._said.append({"role": message.role, "content": content})

    def _add_result(self, key: str | tuple[str, str], output: str | list[Item], path: str) -> None:
        result = self._calls.result(key, output)
        if result is None:
            raise result_without_call(path, self._report)
        self._results.append(result)

    def _add_answer(self, message: AssistantMessage, index: int) -> None:
        if message.audio is not None:
            path = f"messages[{index}].audio"
            raise self._report.reject(path, "the Responses API keeps no spoken answers.")
        self.end_turn()
        parts = said_parts(message.content, message.refusal, index=index, report=self._report)
        if not (message.tool_calls or message.function_call):
            if not parts:
                self._add_nothing(message)
                return
            if not message.model_extra:
                # Words without any reasoning, like most answers.
                self.items.append(self._answer(parts, [], index))
                return
        reasoned = self._reasoning.of(message)
        calls = [self._calls.call(call) for call in message.tool_calls or ()]
        if (legacy := message.function_call) is not None:
            key = ("function", legacy.name)
            calls.append(self._calls.function(key, f"call_fc_{index}", legacy))
        said = [self._answer(parts, calls, index)] if parts else []
        self.items += _placed(reasoned, said, calls)

    def _add_nothing(self, message: AssistantMessage) -> None:
        """Add an answer that says nothing: reasoning goes back only before what it led to.

        With its reasoning all of it is lost, and is reported. It stays, empty, where it opens
        the conversation, which may hold nothing else.
        """
        if not self._reasoning.lose(message) or not self.items:
            self.items.append({"role": "assistant", "content": ""})

    def _answer(self, parts: list[Item], calls: list[Item], index: int) -> Item:
        phase: Item = {}
        if self._profile.phases:
            phase = {"phase": "commentary" if calls else "final_answer"}
        (first, *more) = parts
        if first["type"] == "output_text" and not more:
            return {"role": "assistant", "content": first["text"], **phase}
        # The form with several parts has an id, which must begin so.
        whole: Item = {"type": "message", "id": f"msg_{index}", "role": "assistant"}
        return {**whole, "status": "completed", "content": parts, **phase}


def to_items(
    messages: list[Message], *, profile: ModelProfile, report: ReportBuilder
) -> list[Item]:
    """Return the native form of `messages`.

    Raises:
        TranslationError: A message has no counterpart there.
    """
    conversation = _Conversation(profile, report)
    for index, message in enumerate(messages):
        conversation.add(message, index)
    conversation.end_turn()
    return conversation.items


def _placed(reasoned: Reasoned, said: list[Item], calls: list[Item]) -> list[Item]:
    """Return the items of one answer in the order that they had."""
    # A call in the deprecated form carries no reasoning.
    bare = max(len(calls), 1) - len(reasoned.before_calls)
    none: list[Item] = []
    before = [*reasoned.before_calls, *[none] * bare]
    first = before[0]
    place = len(first) if reasoned.text_after is None else reasoned.text_after
    items = [*reasoned.leading, *first[:place], *said, *first[place:], *calls[:1]]
    for led_by, call in zip(before[1:], calls[1:], strict=True):
        items += [*led_by, call]
    return items
