"""What was asked and what was answered, as the GenAI conventions have it.

Source: the JSON schemas gen-ai-input-messages, -output-messages, -system-instructions and
-tool-definitions in model/gen-ai/ of open-telemetry/semantic-conventions-genai (of 2026-11):
messages of a role and parts (`text`, `tool_call`, `tool_call_response`, `reasoning`, `blob`,
`uri`, `file`). A `blob` has no content here, only its type and its size in bytes; a `uri` has no
query, which may be what opens it. Parts of other types pass with their type alone: what else they
hold nobody has looked at.

Everything that is returned is redacted. Opaque data that a client carries back for a provider, such
as signatures of its thinking, is left out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import msgspec

from proxy.telemetry.content.limits import LeftOut, Opaque, fitted
from proxy.telemetry.content.media import inline, medium, reference
from proxy.telemetry.content.redaction import REACH, Head, Redactor
from translators.json import UNREADABLE, encode
from translators.wire.content import (
    AssistantMessage,
    ContentPart,
    FilePart,
    FunctionMessage,
    ImagePart,
    InputAudioPart,
    InstructionMessage,
    Message,
    RefusalPart,
    TextPart,
    ToolMessage,
)
from translators.wire.request import (
    ChatCompletionRequest,
    CustomTool,
    FunctionDefinition,
    FunctionTool,
    Tool,
)

__all__ = ["Asked", "Writer"]

JSONObject = dict[str, Any]
Entry = TypeVar("Entry")

READ: Final = 4
"""How many times the limit is read of texts, at most, to fill an array; of the rest the length."""

MOST_PARTS: Final = 256
"""Of one message."""

_SAID: Final = {
    *("refusal", "audio", "tool_calls", "function_call"),
    *("reasoning_content", "reasoning", "images"),
}
"""Fields of an assistant's message, beside its content, that are shown."""

_FINISH_REASONS: Final = {"tool_calls": "tool_call", "function_call": "tool_call"}
"""OpenAI's words to those of the conventions, where they differ."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a provider was asked, each as a JSON array; None where there is none of it.

    Attributes:
        messages: The conversation.
        instructions: What stands before it, where the provider's API has a place of its own for
            that.
        tools: What the model may call.
    """

    messages: str
    instructions: str | None
    tools: str | None


class Writer:
    """Writes the content of one attempt.

    Args:
        redactor: Takes secrets out.
        limit: Bytes of each JSON array.
    """

    __slots__ = ("_left", "_limit", "_redactor")

    def __init__(self, redactor: Redactor, limit: int) -> None:
        self._redactor = redactor
        self._limit = limit
        self._left = 0

    def asked(self, chat: ChatCompletionRequest, *, instructions_apart: bool) -> Asked:
        """Return what a provider was asked.

        Args:
            chat: The request, with what the persona adds.
            instructions_apart: The provider's API has a place of its own for instructions, and
                those that open the conversation go there. The conventions tell the two apart.
        """
        messages = chat.messages
        opening = _opening(messages) if instructions_apart else 0
        said: list[ContentPart | str] = []
        for message in messages[:opening]:
            content = cast("InstructionMessage", message).content
            said += [content] if isinstance(content, str) else content
        tools: Sequence[Tool | FunctionDefinition] = chat.tools or chat.functions or ()
        return Asked(
            messages=self._array(messages[opening:], self._message, _messages),
            instructions=self._array(said, self._part, _parts) if said else None,
            tools=self._array(tools, self._tool, _tools) if tools else None,
        )

    def answered(self, choices: Sequence[JSONObject], *, unfinished: str = "error") -> str:
        """Return what was answered.

        Args:
            choices: Of a `chat.completion`.
            unfinished: The finish reason of those that have none.
        """
        return self._array(choices, lambda choice: self._choice(choice, unfinished), _messages)

    def _array(
        self, entries: Sequence[Entry], write: Callable[[Entry], JSONObject], left_out: LeftOut
    ) -> str:
        self._left = READ * self._limit
        return fitted(len(entries), lambda index: write(entries[index]), self._limit, left_out)

    def _text(self, text: str) -> str:
        most = min(self._limit, self._left)
        self._left -= min(len(text), most)
        return self._redactor.head(text, most) if most else Head("", len(text))

    def _each(
        self, entries: Sequence[Entry], write: Callable[[Entry], JSONObject]
    ) -> list[JSONObject]:
        """Write the parts of a message; of very many the first and the last."""
        missing = len(entries) - MOST_PARTS
        if missing <= 0:
            return [write(entry) for entry in entries]
        half = MOST_PARTS // 2
        first, last = entries[:half], entries[-half:]
        return [*map(write, first), _parts(missing), *map(write, last)]

    def _message(self, message: Message) -> JSONObject:
        role: str = "tool" if isinstance(message, FunctionMessage) else message.role
        written: JSONObject = {"role": role, "parts": self._parts_of(message)}
        if name := getattr(message, "name", None):
            written["name"] = self._text(name)
        return written

    def _parts_of(self, message: Message) -> list[JSONObject]:
        if isinstance(message, AssistantMessage):
            return self._said(message.model_dump(exclude_unset=True, include=_SAID), message)
        if isinstance(message, ToolMessage):
            return [self._response(message.tool_call_id, message.content)]
        if isinstance(message, FunctionMessage):
            return [self._response(None, message.content or "")]
        return self._content(message.content)

    def _content(self, content: str | Sequence[ContentPart]) -> list[JSONObject]:
        return self._each([content] if isinstance(content, str) else content, self._part)

    def _response(self, id: str | None, content: str | Sequence[ContentPart]) -> JSONObject:
        said = self._text(content) if isinstance(content, str) else self._content(content)
        part = {"type": "tool_call_response", "response": said}
        return part if id is None else {**part, "id": self._text(id)}

    def _part(self, part: ContentPart | str) -> JSONObject:
        text = self._text
        if isinstance(part, str):
            return {"type": "text", "content": text(part)}
        if isinstance(part, TextPart):
            return {"type": "text", "content": text(part.text)}
        if isinstance(part, RefusalPart):
            return {"type": "refusal", "content": text(part.refusal)}
        if isinstance(part, ImagePart):
            return medium("image", part.image_url.url, text)
        if isinstance(part, InputAudioPart):
            audio = part.input_audio
            return medium("audio", audio.data, text, kind=text(f"audio/{audio.format}"))
        if isinstance(part, FilePart):
            return self._file(part)
        found = next(iter((part.model_extra or {}).values()), None)
        address = cast("JSONObject", found).get("url") if isinstance(found, dict) else None
        if isinstance(address, str):
            return medium(text(part.type.removesuffix("_url")), address, text)
        return {"type": text(part.type)}

    def _file(self, part: FilePart) -> JSONObject:
        file = part.file
        where = file.file_data or (file.model_extra or {}).get("file_url")
        if file.file_id is not None or not isinstance(where, str):
            return reference("document", self._text(file.file_id or ""))
        written = medium("document", where, self._text)
        return {**written, "filename": self._text(file.filename)} if file.filename else written

    def _said(self, message: Mapping[str, Any], asked: AssistantMessage | None) -> list[JSONObject]:
        """Return the parts of what an assistant said, now or in an earlier turn."""
        parts: list[JSONObject] = []
        thought = message.get("reasoning_content") or message.get("reasoning")
        if isinstance(thought, str) and thought:
            parts.append({"type": "reasoning", "content": self._text(thought)})
        content = message.get("content") if asked is None else None
        if asked is not None and asked.content is not None:
            parts += self._content(asked.content)
        elif isinstance(content, str) and content:
            parts.append({"type": "text", "content": self._text(content)})
        elif isinstance(content, list):
            parts += self._each(cast("list[Any]", content), self._unknown)
        if isinstance(refusal := message.get("refusal"), str) and refusal:
            parts.append({"type": "refusal", "content": self._text(refusal)})
        if isinstance(audio := message.get("audio"), dict):
            parts.append(self._audio(cast("JSONObject", audio)))
        parts += self._each(_objects(message.get("images")), self._image)
        parts += self._each(_objects(message.get("tool_calls")), self._call)
        if isinstance(call := message.get("function_call"), dict):
            parts.append(self._call({"function": call}))
        return parts

    def _image(self, image: JSONObject) -> JSONObject:
        where = image.get("image_url")
        address = cast("JSONObject", where).get("url") if isinstance(where, dict) else None
        return medium("image", address if isinstance(address, str) else "", self._text)

    def _audio(self, audio: JSONObject) -> JSONObject:
        data, id, said = (audio.get(name) for name in ("data", "id", "transcript"))
        if not isinstance(data, str):
            return reference("audio", self._text(str(id)))
        part = inline("audio", None, data)
        return {**part, "transcript": self._text(said)} if isinstance(said, str) else part

    def _unknown(self, part: Any) -> JSONObject:
        fields = cast("JSONObject", part) if isinstance(part, dict) else {}
        if isinstance(text := fields.get("text"), str):
            return {"type": "text", "content": self._text(text)}
        return {"type": self._text(str(fields.get("type")))}

    def _call(self, call: JSONObject) -> JSONObject:
        called: JSONObject = call.get("function") or call.get("custom") or {}
        written: JSONObject = {"type": "tool_call", "name": self._text(str(called.get("name")))}
        if isinstance(id := call.get("id"), str):
            written["id"] = self._text(id)
        arguments = called.get("arguments", called.get("input"))
        if isinstance(arguments, str):
            written["arguments"] = self._arguments(arguments)
        return written

    def _arguments(self, text: str) -> Any:
        """Return the arguments of a call as the JSON that they are, or as text if they are none."""
        if len(text) <= min(self._limit + REACH, self._left) and not isinstance(text, Head):
            self._left -= len(text)
            try:
                return Opaque(self._redactor.tree(msgspec.json.decode(text)))
            except UNREADABLE:
                pass  # Models get it wrong, and a stream may have broken off in the middle.
        return self._text(text)

    def _tool(self, tool: Tool | FunctionDefinition) -> JSONObject:
        if isinstance(tool, FunctionTool | FunctionDefinition):
            function = tool.function if isinstance(tool, FunctionTool) else tool
            return self._definition("function", function, "parameters", function.parameters)
        if isinstance(tool, CustomTool):
            return self._definition("custom", tool.custom, "format", tool.custom.format)
        name = (tool.model_extra or {}).get("name")
        return {
            "type": self._text(tool.type),
            "name": self._text(name if isinstance(name, str) else tool.type),
        }

    def _definition(self, kind: str, tool: Any, field: str, schema: Any) -> JSONObject:
        written: JSONObject = {"type": kind, "name": self._text(tool.name)}
        if tool.description is not None:
            written["description"] = self._text(tool.description)
        if schema is not None:
            size = len(encode(schema))
            if size <= self._left:
                self._left -= size
                written[field] = Opaque(self._redactor.tree(schema), whole=True)
            else:
                written[f"{field}_bytes"] = size
        return written

    def _choice(self, choice: JSONObject, unfinished: str) -> JSONObject:
        message = choice.get("message")
        said = self._said(cast("JSONObject", message), None) if isinstance(message, dict) else []
        reason = choice.get("finish_reason")
        reason = str(reason) if reason else unfinished
        # The field is deprecated for the span's attribute, and what back ends read all the same.
        finish = self._text(_FINISH_REASONS.get(reason, reason))
        return {"role": "assistant", "parts": said, "finish_reason": finish}


def _opening(messages: Sequence[Message]) -> int:
    """Return how many messages stand at the beginning that are instructions."""
    for index, message in enumerate(messages):
        if not isinstance(message, InstructionMessage):
            return index
    return len(messages)


def _objects(value: Any) -> list[JSONObject]:
    entries = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("JSONObject", entry) for entry in entries if isinstance(entry, dict)]


def _messages(count: int) -> JSONObject:
    return {"role": "omitted", "parts": [{"type": "omitted", "messages": count}]}


def _parts(count: int) -> JSONObject:
    return {"type": "omitted", "parts": count}


def _tools(count: int) -> JSONObject:
    return {"type": "omitted", "name": f"{count} tools"}
