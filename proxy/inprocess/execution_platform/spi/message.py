"""Messages of a conversation, and the parts that they are made of."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

__all__ = [
    "AudioPart",
    "ContentPart",
    "FilePart",
    "ImagePart",
    "Message",
    "OtherPart",
    "RefusalPart",
    "TextPart",
    "ToolCall",
]


@dataclass
class TextPart:
    """Text.

    Attributes:
        text: The text.
        extra: Further fields of the part, such as Anthropic's `cache_control`.
    """

    text: str
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class ImagePart:
    """An image.

    Attributes:
        url: Where it is: an `https:` or a `data:` URL.
        detail: How closely the model looks: `low`, `high` or `auto`.
        extra: Further fields of the part.
    """

    url: str
    detail: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class AudioPart:
    """Audio.

    Attributes:
        data: Base64.
        format: For instance `wav` or `mp3`.
        extra: Further fields of the part.
    """

    data: str
    format: str
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class FilePart:
    """A document, such as a PDF.

    Attributes:
        file_data: A `data:` or an `https:` URL, or bare base64.
        filename: Its name.
        file_id: Of a file that OpenAI keeps, in place of `file_data`.
        extra: Further fields of the part.
    """

    file_data: str | None = None
    filename: str | None = None
    file_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class RefusalPart:
    """A refusal that the assistant gave earlier."""

    refusal: str
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class OtherPart:
    """A part of a type that OpenAI does not define, as some compatible servers take it.

    Attributes:
        type: For instance `video_url`.
        extra: All other fields of the part.
    """

    type: str
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


ContentPart = TextPart | ImagePart | AudioPart | FilePart | RefusalPart | OtherPart


@dataclass
class ToolCall:
    """A whole call of a tool.

    Attributes:
        id: Of the call; its result names it (`Message.tool_call_id`).
        name: Of the tool.
        arguments: As the model wrote them: JSON text for a function, free text for a custom tool.
            A model may write JSON that is none; `parsed` says so.
        type: `function` or `custom`.
        extra: Further fields; what a provider wants back with the call is in `extra_content`.
    """

    id: str
    name: str
    arguments: str
    type: str = "function"
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def parsed(self) -> dict[str, Any]:
        """Return the arguments of a function call as a dictionary; no text is no arguments.

        Raises:
            ValueError: They are not a JSON object.
        """
        if not self.arguments.strip():
            return {}
        try:
            value = json.loads(self.arguments)
        except ValueError as error:
            raise ValueError(
                f"The arguments of the call of `{self.name}` are not JSON: {error}. Send that "
                "back as the call's result, and the model can mend them."
            ) from None
        if not isinstance(value, dict):
            raise ValueError(
                f"The arguments of the call of `{self.name}` are no JSON object, but "
                f"{type(value).__name__}."
            )
        return cast("dict[str, Any]", value)


@dataclass
class Message:
    """One message of a conversation.

    Attributes:
        role: `user`, `assistant`, `system`, `developer`, or `tool` for the result of a call.
        content: Text or parts; None for an answer that is nothing but tool calls.
        name: Who speaks, where there are several.
        tool_calls: The calls that an assistant's message makes.
        tool_call_id: Of a `tool` message: the call that it answers.
        refusal: Of an assistant's message: why it did not answer.
        reasoning: What the model thought, as far as it can be read.
        reasoning_details: The same as its provider wants it back, signatures included.
        extra: Further fields of the message, such as `audio`.
    """

    role: str
    content: str | Sequence[ContentPart] | None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_details: list[dict[str, Any]] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
