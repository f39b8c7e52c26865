"""The conversation: OpenAI's messages to the API's system instruction and contents.

https://ai.google.dev/api/caching#Content

1. The messages between two answers of the assistant are one content of role `user`: results of
   calls first, then everything else in its order.
2. The system and developer messages before everything else are the system instruction. A later
   one never joins them: that would change what the model (and its cache) has already read. The
   API knows no such role in the middle, so it becomes a text of the user in its place.
3. A conversation that grows by an answer and what follows it keeps the contents it had.
4. What the API refuses to be without (a first content of the user, something in a content) is
   put there in fixed words, and reported.
"""

from typing import Any, cast

from translators.fidelity import ReportBuilder
from translators.gemini_generate.calls import Calls
from translators.gemini_generate.content import (
    Part,
    media_url,
    text_parts,
    to_parts,
)
from translators.gemini_generate.models import ModelProfile
from translators.gemini_generate.signatures import Signatures, signature_in
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

_NOT_REPORTED = frozenset({"annotations"})
"""What our own answers carry and the model has no use for."""

_READ = frozenset({*_NOT_REPORTED, "images", "reasoning_content", "reasoning_details"})
"""The same, and what is read of an answer elsewhere."""


class Conversation:
    """Collects the contents; `system` and `contents` are the result."""

    def __init__(self, profile: ModelProfile, report: ReportBuilder, *, server_tools: bool) -> None:
        self._server_tools = server_tools
        self.system: list[Part] = []
        self.contents: list[dict[str, Any]] = []
        self._profile = profile
        self._report = report
        self._calls = Calls(profile, report)
        self._parts: list[Part] = []
        self._said = False

    def add(self, message: Message, index: int) -> None:
        """Take the next message.

        Raises:
            TranslationError: It has no counterpart there.
        """
        if extra := message.model_extra:
            known = _READ if isinstance(message, AssistantMessage) else _NOT_REPORTED
            self._report.ignored_fields("messages[]", extra, known=known)
        match message:
            case UserMessage():
                self._said = True
                self._parts += self._read(message, index)
            case AssistantMessage():
                self._add_answer(message, index)
            case InstructionMessage():
                self._add_instruction(message, index)
            case ToolMessage():
                parts, path = self._read(message, index), f"messages[{index}].tool_call_id"
                self._add_result(message.tool_call_id, parts, path)
            case FunctionMessage():
                parts, path = text_parts(message.content), f"messages[{index}].name"
                self._add_result(("function", message.name), parts, path)
        report_name(message, self._report)

    def end(self) -> None:
        """Say that there are no more messages.

        Raises:
            TranslationError: The last message is one the model cannot continue from.
        """
        self._end_user_content()
        self._check_answered()
        if not self.contents:
            self._open()
        if self.contents[-1]["role"] == "model" and not self._profile.prefill:
            raise cannot_continue(self._report)

    def _read(self, message: UserMessage | ToolMessage, index: int) -> list[Part]:
        return to_parts(
            message.content, index=index, report=self._report, resolution=self._profile.third
        )

    def _add_instruction(self, message: InstructionMessage, index: int) -> None:
        parts = to_parts(message.content, index=index, report=self._report, text_only=True)
        if not self.contents and not (self._said or self._parts):
            self.system += parts
            return
        if parts:
            self._report.emulated("messages[].role")
        self._parts += [{"text": INSTRUCTION + part["text"]} for part in parts]

    def _add_result(self, key: str | tuple[str, str], parts: list[Part], path: str) -> None:
        texts = [part["text"] for part in parts if "text" in part]
        media = [part for part in parts if "text" not in part]
        beside = self._calls.close(key, texts, media)
        if beside is None:
            raise result_without_call(path, self._report)
        self._parts += beside

    def _add_answer(self, message: AssistantMessage, index: int) -> None:
        if message.audio is not None:
            path = f"messages[{index}].audio"
            raise self._report.reject(path, "Gemini does not keep spoken answers.")
        extra, calls = message.model_extra, message.tool_calls or message.function_call
        signatures = None
        if extra or calls:
            signatures = Signatures(message, self._report, server_tools=self._server_tools)
        parts = to_parts(message.content, index=index, report=self._report)
        if message.refusal is not None:
            parts += text_parts(message.refusal)
        if signatures is not None and signatures.text is not None:
            self._sign(parts, signatures.text)
        if extra:
            parts += self._images(extra, index)
        if not (parts or calls):
            return  # An empty answer: the API refuses a content without parts.
        self._end_user_content()
        if calls and signatures is not None:
            parts += self._calls.parts(message, index, signatures)
        if not self.contents:
            self._open()
        if self.contents[-1]["role"] == "model":
            self.contents[-1]["parts"] += parts
        else:
            self.contents.append({"role": "model", "parts": parts})

    def _images(self, extra: dict[str, Any], index: int) -> list[Part]:
        """Return the images of an answer, in the form in which we gave them."""
        parts: list[Part] = []
        images = extra.get("images")
        for number, entry in enumerate(cast("list[Any]", images) if _is_list(images) else ()):
            at = f"messages[{index}].images[{number}].image_url.url"
            image = cast("dict[str, Any]", entry).get("image_url") if _is_object(entry) else None
            url = cast("dict[str, Any]", image).get("url") if _is_object(image) else None
            if not isinstance(url, str):
                raise self._report.reject(at, "it is no URL.")
            part = media_url(url, path=at, report=self._report)
            if (signature := signature_in(entry)) is not None:
                part["thoughtSignature"] = signature
            parts.append(part)
        return parts

    def _sign(self, parts: list[Part], signature: str) -> None:
        """Put the signature of a text on its last part; in a stream it came behind that."""
        texts = [part for part in parts if "text" in part]
        if texts:
            texts[-1]["thoughtSignature"] = signature
        else:
            self._report.ignored("messages[].reasoning_details")

    def _open(self) -> None:
        """Put a content of the user first: a call must follow one."""
        self._report.emulated("messages")
        self.contents.append({"role": "user", "parts": text_parts(OPENING)})

    def _end_user_content(self) -> None:
        """Turn what came since the last answer into a content."""
        parts = self._calls.take() + self._parts
        said, self._said = self._said, False
        self._parts = []
        if not parts:
            if not said:
                return
            self._report.emulated("messages[].content")
            parts = text_parts(EMPTY)
        self._check_answered()
        self.contents.append({"role": "user", "parts": parts})

    def _check_answered(self) -> None:
        if (name := self._calls.unanswered()) is not None:
            raise self._report.reject(
                "messages", f"a call of `{name[:64]}` has no result right after it."
            )


def to_conversation(
    messages: list[Message],
    *,
    profile: ModelProfile,
    report: ReportBuilder,
    server_tools: bool = False,
) -> Conversation:
    """Return the native form of `messages`.

    Args:
        messages: OpenAI's.
        profile: The model's.
        report: Where to say what was not carried over as it stood.
        server_tools: Whether tools of the server's own stand beside functions.

    Raises:
        TranslationError: A message has no counterpart there.
    """
    conversation = Conversation(profile, report, server_tools=server_tools)
    for index, message in enumerate(messages):
        conversation.add(message, index)
    conversation.end()
    return conversation


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)
