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

from proxy.sandbox.anthropic_messages.blocks import (
    CacheControl,
    Markable,
    Message,
    Text,
    Wire,
    text_or_list,
)
from proxy.sandbox.anthropic_messages.server_tools import SERVER_TOOLS
from proxy.sandbox.jsontypes import JsonObject, as_object

__all__ = ["Body", "CustomTool", "ServerTool", "shape_fault"]


class InputSchema(BaseModel):
    """The schema of a tool's input; any further keyword is allowed."""

    model_config = ConfigDict(extra="allow", strict=True)

    type: Literal["object"]
    properties: JsonObject | None = None
    required: list[str] | None = None


class CustomTool(Markable):
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
    kind = (as_object(value) or {}).get("type")
    if kind is None or kind == "custom":
        return "custom"
    return "~server" if isinstance(kind, str) and kind in SERVER_TOOLS else str(kind)


_Tool: TypeAlias = Annotated[
    Annotated[CustomTool, Tag("custom")] | Annotated[ServerTool, Tag("~server")],
    Discriminator(_tool_kind),
]


class _ChoiceAuto(Wire):
    type: Literal["auto"]
    disable_parallel_tool_use: bool | None = None


class _ChoiceAny(Wire):
    type: Literal["any"]
    disable_parallel_tool_use: bool | None = None


class _ChoiceTool(Wire):
    type: Literal["tool"]
    name: str
    disable_parallel_tool_use: bool | None = None


class _ChoiceNone(Wire):
    type: Literal["none"]


_Display: TypeAlias = Literal["summarized", "omitted"] | None


class _BlockBinding(Wire):
    prefix_mismatch_behavior: Literal["drop_block", "error"] | None = None


class _Enabled(Wire):
    type: Literal["enabled"]
    budget_tokens: Annotated[int, Field(ge=1024)]
    display: _Display = None


class _Adaptive(Wire):
    type: Literal["adaptive"]
    display: _Display = None
    block_binding: _BlockBinding | None = None


class _Disabled(Wire):
    type: Literal["disabled"]


class _BetweenTools(Wire):
    type: Literal["between_tools"]


class _JsonFormat(Wire):
    type: Literal["json_schema"]
    json_schema: JsonObject = Field(alias="schema")


class _OutputConfig(Wire):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: _JsonFormat | None = None


class _Metadata(Wire):
    user_id: Annotated[str, Field(max_length=256)] | None = None


class Body(Wire):
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
            Discriminator(text_or_list),
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
