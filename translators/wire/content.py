"""Messages and their content parts.

Unknown fields are kept (`extra="allow"`): a target that speaks OpenAI's dialect receives them,
and every other translator gives them a verdict. So are content parts and tools of a type that
OpenAI does not define, which compatible servers do (`video_url`).
"""

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

__all__ = [
    "AssistantMessage",
    "ContentPart",
    "FilePart",
    "FunctionMessage",
    "ImagePart",
    "InputAudioPart",
    "InstructionMessage",
    "Message",
    "OtherPart",
    "RefusalPart",
    "TextPart",
    "ToolCall",
    "ToolMessage",
    "UserMessage",
    "WireModel",
    "type_of",
]


class WireModel(BaseModel):
    """Base of every part of a request: strict types, unknown fields kept."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class TextPart(WireModel):
    """Text."""

    type: Literal["text"]
    text: str


class ImageURL(WireModel):
    """Where an image is: an `https:` or a `data:` URL."""

    url: str
    detail: str | None = None


class ImagePart(WireModel):
    """An image."""

    type: Literal["image_url"]
    image_url: ImageURL


class InputAudio(WireModel):
    """Base64 audio."""

    data: str
    format: str


class InputAudioPart(WireModel):
    """Audio."""

    type: Literal["input_audio"]
    input_audio: InputAudio


class FileData(WireModel):
    """A file: `file_data` is a `data:` URL or bare base64."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(WireModel):
    """A document."""

    type: Literal["file"]
    file: FileData


class RefusalPart(WireModel):
    """A refusal that the assistant gave earlier."""

    type: Literal["refusal"]
    refusal: str


class OtherPart(WireModel):
    """A part of a type that OpenAI does not define."""

    type: str


_KNOWN_PARTS = frozenset({"text", "image_url", "input_audio", "file", "refusal"})


def type_of(value: Any) -> str | None:
    """Return the `type` of a JSON object or of a model made from one, if it is a string."""
    if isinstance(value, dict):
        kind = cast("dict[str, Any]", value).get("type")
    else:
        kind = getattr(value, "type", None)
    return kind if isinstance(kind, str) else None


def _part_tag(value: Any) -> str | None:
    kind = type_of(value)
    if kind is None:
        return None
    return kind if kind in _KNOWN_PARTS else "other"


ContentPart = Annotated[
    Annotated[TextPart, Tag("text")]
    | Annotated[ImagePart, Tag("image_url")]
    | Annotated[InputAudioPart, Tag("input_audio")]
    | Annotated[FilePart, Tag("file")]
    | Annotated[RefusalPart, Tag("refusal")]
    | Annotated[OtherPart, Tag("other")],
    Discriminator(_part_tag),
]

Content = str | Annotated[list[ContentPart], Field(fail_fast=True)]


class InstructionMessage(WireModel):
    """Instructions: `system`, or `developer`, its newer name."""

    role: Literal["system", "developer"]
    content: Content
    name: str | None = None


class UserMessage(WireModel):
    """What the user said."""

    role: Literal["user"]
    content: Content
    name: str | None = None


class FunctionCall(WireModel):
    """A call of a function; `arguments` is JSON text, which a model may have got wrong."""

    name: str
    arguments: str = ""


class CustomCall(WireModel):
    """A call of a custom tool; `input` is free text."""

    name: str
    input: str


class ToolCall(WireModel):
    """One call that the assistant made."""

    id: str = Field(min_length=1)
    type: Literal["function", "custom"] = "function"
    function: FunctionCall | None = None
    custom: CustomCall | None = None


class AudioReference(WireModel):
    """An earlier spoken answer, kept by the provider."""

    id: str


class AssistantMessage(WireModel):
    """What the assistant answered."""

    role: Literal["assistant"]
    content: Content | None = None
    refusal: str | None = None
    name: str | None = None
    tool_calls: Annotated[list[ToolCall], Field(fail_fast=True)] | None = None
    function_call: FunctionCall | None = None
    audio: AudioReference | None = None


class ToolMessage(WireModel):
    """The result of one tool call."""

    role: Literal["tool"]
    tool_call_id: str
    content: Content


class FunctionMessage(WireModel):
    """The result of a function call, in the deprecated form."""

    role: Literal["function"]
    name: str
    content: str | None


Message = Annotated[
    InstructionMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage,
    Field(discriminator="role"),
]
