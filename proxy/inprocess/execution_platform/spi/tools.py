"""Tools that a model may call, and the form that an answer must have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "AllowedTools",
    "NamedTool",
    "ResponseFormat",
    "ToolChoice",
    "ToolDefinition",
    "ToolParameter",
]


@dataclass
class ToolParameter:
    """One parameter of a function.

    Attributes:
        name: Its name.
        type: A type of JSON Schema: `string`, `number`, `integer`, `boolean`, `array`, `object`.
        required: Whether every call must have it.
        description: For the model.
        enum: The only values that it may have.
        items: The schema of an array's items.
        properties: The properties of an object.
        schema: Further keywords of its JSON schema, such as `minimum`; they win over the rest.
    """

    name: str
    type: str = "string"
    required: bool = False
    description: str | None = None
    enum: Sequence[Any] | None = None
    items: Mapping[str, Any] | None = None
    properties: Sequence["ToolParameter"] | None = None
    schema: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class ToolDefinition:
    """A tool that the model may call.

    Attributes:
        name: What the model calls it by.
        description: For the model: what it does, and when to use it.
        parameters: Those of a function, or its JSON schema as a whole; None: it takes none.
        strict: Whether the arguments must follow the schema exactly.
        type: `function`; `custom` for a tool that takes free text.
        format: The grammar of a custom tool's input, as OpenAI has it.
        extra: Further fields of the tool, such as `cache_control`.
    """

    name: str
    description: str | None = None
    parameters: Sequence[ToolParameter] | Mapping[str, Any] | None = None
    strict: bool | None = None
    type: Literal["function", "custom"] = "function"
    format: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class NamedTool:
    """A choice of one tool, which must be called."""

    name: str
    type: Literal["function", "custom"] = "function"


@dataclass
class AllowedTools:
    """A choice of some of the tools.

    Attributes:
        tools: Those that may be called.
        mode: `auto`: the model may call one; `required`: it must.
    """

    tools: Sequence[NamedTool]
    mode: Literal["auto", "required"] = "auto"


ToolChoice = Literal["none", "auto", "required"] | NamedTool | AllowedTools


@dataclass
class ResponseFormat:
    """The form that the answer must have.

    Attributes:
        type: `text`, `json_object`, or `json_schema` for JSON that follows `schema`.
        schema: A JSON schema.
        name: Of the schema.
        description: Of the schema, for the model.
        strict: Whether the answer must follow the schema exactly.
    """

    type: Literal["text", "json_object", "json_schema"] = "json_schema"
    schema: Mapping[str, Any] | None = None
    name: str = "answer"
    description: str | None = None
    strict: bool | None = None
