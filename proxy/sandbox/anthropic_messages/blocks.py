"""The shape of messages and their content blocks, as pydantic models.

Field lists are those of anthropic 2.12. Tags that start with `~` exist only here, and are left out
of the paths in refusals.
"""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from proxy.sandbox.jsontypes import JsonObject

__all__ = [
    "Block",
    "CacheControl",
    "Document",
    "Image",
    "Markable",
    "Message",
    "RedactedThinking",
    "ServerResult",
    "ServerToolUse",
    "Text",
    "Thinking",
    "ToolResult",
    "ToolUse",
    "Wire",
    "text_or_list",
]


class Wire(BaseModel):
    """An object that takes no further fields."""

    model_config = ConfigDict(extra="forbid", strict=True)


def text_or_list(value: Any) -> str | None:
    """Tell the two forms of content apart."""
    return "~text" if isinstance(value, str) else "~list" if isinstance(value, list) else None


class CacheControl(Wire):
    """A mark on a block up to which the prompt is cached."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class Markable(Wire):
    """A block that may carry a mark."""

    cache_control: CacheControl | None = None


class Text(Markable):
    """A block of text."""

    type: Literal["text"]
    text: str
    citations: list[JsonObject] | None = None


class _Base64Image(Wire):
    type: Literal["base64"]
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: str


class _Base64Pdf(Wire):
    type: Literal["base64"]
    media_type: Literal["application/pdf"]
    data: str


class _PlainText(Wire):
    type: Literal["text"]
    media_type: Literal["text/plain"]
    data: str


class _Url(Wire):
    type: Literal["url"]
    url: str


class _File(Wire):
    type: Literal["file"]
    file_id: str


class Image(Markable):
    """An image."""

    type: Literal["image"]
    source: Annotated[_Base64Image | _Url | _File, Field(discriminator="type")]
    transformations: JsonObject | None = None


_ContentPart: TypeAlias = Annotated[Text | Image, Field(discriminator="type")]


class _Content(Wire):
    type: Literal["content"]
    content: Annotated[
        Annotated[str, Tag("~text")] | Annotated[list[_ContentPart], Tag("~list")],
        Discriminator(text_or_list),
    ]


class _Citations(Wire):
    enabled: bool | None = None


class Document(Markable):
    """A document."""

    type: Literal["document"]
    source: Annotated[
        _Base64Pdf | _PlainText | _Content | _Url | _File, Field(discriminator="type")
    ]
    citations: _Citations | None = None
    context: str | None = None
    title: str | None = None


class SearchResult(Markable):
    """A search result of the client's own."""

    type: Literal["search_result"]
    source: str
    title: str
    content: list[Text]
    citations: _Citations | None = None


class Thinking(Wire):
    """Thinking that is sent back."""

    type: Literal["thinking"]
    thinking: str
    signature: str


class RedactedThinking(Wire):
    """Hidden thinking that is sent back."""

    type: Literal["redacted_thinking"]
    data: str


class ToolUse(Markable):
    """A call of a client's tool."""

    type: Literal["tool_use"]
    id: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]+$")]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    input: JsonObject
    caller: JsonObject | None = None
    toolset_name: str | None = None


class ToolReference(Markable):
    """A tool that a search has found."""

    type: Literal["tool_reference"]
    tool_name: str


_ResultPart: TypeAlias = Annotated[
    Text | Image | SearchResult | Document | ToolReference, Field(discriminator="type")
]


class ToolResult(Markable):
    """What a client's tool returned."""

    type: Literal["tool_result"]
    tool_use_id: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]+$")]
    content: (
        Annotated[
            Annotated[str, Tag("~text")] | Annotated[list[_ResultPart], Tag("~list")],
            Discriminator(text_or_list),
        ]
        | None
    ) = None
    is_error: bool | None = None
    toolset_name: str | None = None


class ServerToolUse(Markable):
    """A call of the service's own tool."""

    type: Literal["server_tool_use"]
    id: Annotated[str, Field(pattern=r"^srvtoolu_[a-zA-Z0-9_]+$")]
    name: str
    input: JsonObject
    caller: JsonObject | None = None


class ServerResult(Markable):
    """What the service's own tool returned."""

    type: Literal[
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
    ]
    tool_use_id: str
    content: Any
    caller: JsonObject | None = None


class ContainerUpload(Markable):
    """A file for the code container."""

    type: Literal["container_upload"]
    file_id: str


Block: TypeAlias = Annotated[
    Text
    | Image
    | Document
    | SearchResult
    | Thinking
    | RedactedThinking
    | ToolUse
    | ToolResult
    | ServerToolUse
    | ServerResult
    | ContainerUpload,
    Field(discriminator="type"),
]


class Message(Wire):
    """One turn."""

    role: Literal["user", "assistant", "system"]
    content: Annotated[
        Annotated[str, Tag("~text")] | Annotated[list[Block], Tag("~list")],
        Discriminator(text_or_list),
    ]
