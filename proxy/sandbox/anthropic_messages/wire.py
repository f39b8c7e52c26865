"""The request body's shape, as pydantic models.

The service's own messages are pydantic's ("Field required", "Extra inputs are not permitted"),
with the path through the tagged unions; `shape_fault` gives them the same form. Field lists are
those of anthropic 2.12. Tags that start with `~` exist only here and are left out of paths.
"""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
)

from proxy.sandbox.anthropic_messages.server_tools import SERVER_TOOLS
from proxy.sandbox.jsontypes import JsonObject

__all__ = ["Body", "shape_fault"]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


def _text_or_list(value: Any) -> str | None:
    return "~text" if isinstance(value, str) else "~list" if isinstance(value, list) else None


class CacheControl(_Wire):
    """A mark on a block up to which the prompt is cached."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class _Markable(_Wire):
    cache_control: CacheControl | None = None


class Text(_Markable):
    """A block of text."""

    type: Literal["text"]
    text: str
    citations: list[JsonObject] | None = None


class _Base64Image(_Wire):
    type: Literal["base64"]
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: str


class _Base64Pdf(_Wire):
    type: Literal["base64"]
    media_type: Literal["application/pdf"]
    data: str


class _PlainText(_Wire):
    type: Literal["text"]
    media_type: Literal["text/plain"]
    data: str


class _Url(_Wire):
    type: Literal["url"]
    url: str


class _File(_Wire):
    type: Literal["file"]
    file_id: str


class Image(_Markable):
    """An image."""

    type: Literal["image"]
    source: Annotated[_Base64Image | _Url | _File, Field(discriminator="type")]
    transformations: JsonObject | None = None


_ContentPart: TypeAlias = Annotated[Text | Image, Field(discriminator="type")]


class _Content(_Wire):
    type: Literal["content"]
    content: Annotated[
        Annotated[str, Tag("~text")] | Annotated[list[_ContentPart], Tag("~list")],
        Discriminator(_text_or_list),
    ]


class _Citations(_Wire):
    enabled: bool | None = None


class Document(_Markable):
    """A document."""

    type: Literal["document"]
    source: Annotated[
        _Base64Pdf | _PlainText | _Content | _Url | _File, Field(discriminator="type")
    ]
    citations: _Citations | None = None
    context: str | None = None
    title: str | None = None


class SearchResult(_Markable):
    """A search result of the client's own."""

    type: Literal["search_result"]
    source: str
    title: str
    content: list[Text]
    citations: _Citations | None = None


class Thinking(_Wire):
    """Thinking that is sent back."""

    type: Literal["thinking"]
    thinking: str
    signature: str


class RedactedThinking(_Wire):
    """Hidden thinking that is sent back."""

    type: Literal["redacted_thinking"]
    data: str


class ToolUse(_Markable):
    """A call of a client's tool."""

    type: Literal["tool_use"]
    id: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]+$")]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    input: JsonObject
    caller: JsonObject | None = None
    toolset_name: str | None = None


class ToolReference(_Markable):
    """A tool that a search has found."""

    type: Literal["tool_reference"]
    tool_name: str


_ResultPart: TypeAlias = Annotated[
    Text | Image | SearchResult | Document | ToolReference, Field(discriminator="type")
]


class ToolResult(_Markable):
    """What a client's tool returned."""

    type: Literal["tool_result"]
    tool_use_id: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]+$")]
    content: (
        Annotated[
            Annotated[str, Tag("~text")] | Annotated[list[_ResultPart], Tag("~list")],
            Discriminator(_text_or_list),
        ]
        | None
    ) = None
    is_error: bool | None = None
    toolset_name: str | None = None


class ServerToolUse(_Markable):
    """A call of the service's own tool."""

    type: Literal["server_tool_use"]
    id: Annotated[str, Field(pattern=r"^srvtoolu_[a-zA-Z0-9_]+$")]
    name: str
    input: JsonObject
    caller: JsonObject | None = None


class ServerResult(_Markable):
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


class ContainerUpload(_Markable):
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


class Message(_Wire):
    """One turn."""

    role: Literal["user", "assistant", "system"]
    content: Annotated[
        Annotated[str, Tag("~text")] | Annotated[list[Block], Tag("~list")],
        Discriminator(_text_or_list),
    ]


class InputSchema(BaseModel):
    """The schema of a tool's input; any further keyword is allowed."""

    model_config = ConfigDict(extra="allow", strict=True)

    type: Literal["object"]
    properties: JsonObject | None = None
    required: list[str] | None = None


class CustomTool(_Markable):
    """A client's tool."""

    type: Literal["custom"] | None = None
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
    description: str | None = None
    input_schema: InputSchema
    strict: bool | None = None
    allowed_callers: list[str] | None = None
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    input_examples: list[JsonObject] | None = None


class ServerTool(BaseModel):
    """One of the service's own tools, whose options are not checked."""

    model_config = ConfigDict(extra="allow", strict=True)

    type: str
    name: str = ""
    cache_control: CacheControl | None = None


def _tool_kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if kind is None or kind == "custom":
        return "custom"
    return "~server" if kind in SERVER_TOOLS else str(kind)  # pyright: ignore[reportUnknownArgumentType]


_Tool: TypeAlias = Annotated[
    Annotated[CustomTool, Tag("custom")] | Annotated[ServerTool, Tag("~server")],
    Discriminator(_tool_kind),
]


class _ChoiceAuto(_Wire):
    type: Literal["auto"]
    disable_parallel_tool_use: bool | None = None


class _ChoiceAny(_Wire):
    type: Literal["any"]
    disable_parallel_tool_use: bool | None = None


class _ChoiceTool(_Wire):
    type: Literal["tool"]
    name: str
    disable_parallel_tool_use: bool | None = None


class _ChoiceNone(_Wire):
    type: Literal["none"]


_Display: TypeAlias = Literal["summarized", "omitted"] | None


class _BlockBinding(_Wire):
    prefix_mismatch_behavior: Literal["drop_block", "error"] | None = None


class _Enabled(_Wire):
    type: Literal["enabled"]
    budget_tokens: Annotated[int, Field(ge=1024)]
    display: _Display = None


class _Adaptive(_Wire):
    type: Literal["adaptive"]
    display: _Display = None
    block_binding: _BlockBinding | None = None


class _Disabled(_Wire):
    type: Literal["disabled"]


class _BetweenTools(_Wire):
    type: Literal["between_tools"]


class _JsonFormat(_Wire):
    type: Literal["json_schema"]
    json_schema: JsonObject = Field(alias="schema")


class _OutputConfig(_Wire):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: _JsonFormat | None = None


class _Metadata(_Wire):
    user_id: Annotated[str, Field(max_length=256)] | None = None


class Body(_Wire):
    """The body of `POST /v1/messages`."""

    model: Annotated[str, Field(min_length=1, max_length=256)]
    max_tokens: Annotated[int, Field(ge=1)]
    messages: list[Message]
    cache_control: CacheControl | None = None
    container: str | JsonObject | None = None
    diagnostics: JsonObject | None = None
    inference_geo: str | None = None
    metadata: _Metadata | None = None
    output_config: _OutputConfig | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    speed: Literal["standard", "fast"] | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    system: (
        Annotated[
            Annotated[str, Tag("~text")] | Annotated[list[Text], Tag("~list")],
            Discriminator(_text_or_list),
        ]
        | None
    ) = None
    temperature: float | None = None
    thinking: (
        Annotated[_Enabled | _Adaptive | _Disabled | _BetweenTools, Field(discriminator="type")]
        | None
    ) = None
    tool_choice: (
        Annotated[_ChoiceAuto | _ChoiceAny | _ChoiceTool | _ChoiceNone, Field(discriminator="type")]
        | None
    ) = None
    tools: list[_Tool] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    top_p: float | None = None


_SHAPELESS = {"model_type", "model_attributes_type"}


def shape_fault(error: ValidationError) -> str:
    """Put the first fault into the service's words."""
    fault = error.errors(include_url=False)[0]
    path = [str(p) for p in fault["loc"] if not str(p).startswith("~")]
    message = fault["msg"]
    kind = fault["type"]
    if kind in _SHAPELESS:
        message = "Input does not match the expected shape."
    elif kind == "union_tag_invalid":
        named = ", ".join(f"'{name}'" for name in sorted(SERVER_TOOLS))
        message = message.replace("_tool_kind()", "'type'").replace("'~server'", named)
    elif kind == "union_tag_not_found":
        given = fault["input"]
        if isinstance(given, dict):
            path.append("type")
            message = "Field required"
        else:
            message = "Input should be a valid list"
    return f"{'.'.join(path)}: {message}" if path else message
