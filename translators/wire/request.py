"""The body of `POST /v1/chat/completions`.

Field by field as `openai.types.chat.completion_create_params` of openai 3.54 has it. Ranges
that differ between providers are left to the provider; types are not: a wrong type is refused
here, with the parameter's path, whatever the target.
"""

import json
from typing import Annotated, Any, Final, Literal, cast

import pydantic
from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import ErrorDetails, from_json

from translators.errors import InvalidRequest
from translators.wire.content import Message, WireModel, type_of

__all__ = [
    "ChatCompletionRequest",
    "FunctionDefinition",
    "NamedToolChoice",
    "ResponseFormat",
    "Tool",
    "ToolChoice",
    "parse_request",
]

# JSON numbers beyond this cannot be written by every encoder between here and a provider.
Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]


MOST_ENTRIES = 4096
"""Of a mapping whose keys are the client's. A list stops at its first wrong entry (`fail_fast`);
a mapping does not, and pydantic would collect an error for each of a million entries."""


def _not_too_many(values: Any) -> Any:
    entries = cast("dict[str, Any]", values) if isinstance(values, dict) else {}
    if len(entries) > MOST_ENTRIES:
        raise ValueError(f"it has more than {MOST_ENTRIES} entries")
    return cast("Any", values)


class FunctionDefinition(WireModel):
    """A function the model may call; `parameters` is a JSON schema."""

    name: str = Field(min_length=1)
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(WireModel):
    """A function tool."""

    type: Literal["function"]
    function: FunctionDefinition


class CustomDefinition(WireModel):
    """A tool that takes free text, perhaps of a grammar."""

    name: str = Field(min_length=1)
    description: str | None = None
    format: dict[str, Any] | None = None


class CustomTool(WireModel):
    """A custom tool."""

    type: Literal["custom"]
    custom: CustomDefinition


class OtherTool(WireModel):
    """A tool of a type that OpenAI's chat API does not define."""

    type: str


def _tool_tag(value: Any) -> str | None:
    kind = type_of(value)
    if kind is None:
        return None
    return kind if kind in ("function", "custom") else "other"


Tool = Annotated[
    Annotated[FunctionTool, Tag("function")]
    | Annotated[CustomTool, Tag("custom")]
    | Annotated[OtherTool, Tag("other")],
    Discriminator(_tool_tag),
]


class NamedTool(WireModel):
    """The name of a tool."""

    name: str


class AllowedTools(WireModel):
    """A subset of the tools."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[dict[str, Any]], Field(fail_fast=True)]


class NamedToolChoice(WireModel):
    """A tool choice in object form."""

    type: Literal["function", "custom", "allowed_tools"]
    function: NamedTool | None = None
    custom: NamedTool | None = None
    allowed_tools: AllowedTools | None = None


ToolChoice = Literal["none", "auto", "required"] | NamedToolChoice


class JSONSchema(WireModel):
    """A named schema for the answer."""

    name: str
    description: str | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class ResponseFormat(WireModel):
    """The form the answer must have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JSONSchema | None = None


class StreamOptions(WireModel):
    """Options that only matter when streaming."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatCompletionRequest(WireModel):
    """A chat request; `model` names a persona."""

    model: str = Field(min_length=1)
    messages: Annotated[list[Message], Field(fail_fast=True)] = Field(min_length=1)
    audio: dict[str, Any] | None = None
    frequency_penalty: float | None = None
    function_call: Literal["none", "auto"] | NamedTool | None = None
    functions: Annotated[list[FunctionDefinition], Field(fail_fast=True)] | None = None
    logit_bias: Annotated[dict[str, int], BeforeValidator(_not_too_many)] | None = None
    logprobs: bool | None = None
    max_completion_tokens: Int64 | None = Field(default=None, ge=1)
    max_tokens: Int64 | None = Field(default=None, ge=1)
    metadata: Annotated[dict[str, str], BeforeValidator(_not_too_many)] | None = None
    modalities: Annotated[list[str], Field(fail_fast=True)] | None = None
    moderation: dict[str, Any] | None = None
    n: int | None = Field(default=None, ge=1, le=128)
    parallel_tool_calls: bool | None = None
    prediction: dict[str, Any] | None = None
    presence_penalty: float | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: str | None = None
    reasoning_effort: str | None = None
    response_format: ResponseFormat | None = None
    safety_identifier: str | None = None
    seed: Int64 | None = None
    service_tier: str | None = None
    stop: str | Annotated[list[str], Field(fail_fast=True)] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    tool_choice: ToolChoice | None = None
    tools: Annotated[list[Tool], Field(fail_fast=True)] | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    top_p: float | None = Field(default=None, ge=0, le=1)
    user: str | None = None
    verbosity: str | None = None
    web_search_options: dict[str, Any] | None = None

    @property
    def wants_usage(self) -> bool:
        """Whether a streamed answer ends with a usage chunk."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def custom_tool_names(self) -> frozenset[str]:
        """Names of the custom tools: calls of them are answered in a form of their own."""
        custom = (tool.custom.name for tool in self.tools or () if isinstance(tool, CustomTool))
        return frozenset(custom)

    @property
    def uses_functions(self) -> bool:
        """Whether calls are to be answered as `function_call`, the deprecated form."""
        return bool(self.functions) and not self.tools

    def to_wire(self) -> dict[str, Any]:
        """Return exactly the fields that were set, unknown ones included."""
        return self.model_dump(exclude_unset=True, by_alias=True)


def parse_request(body: bytes) -> ChatCompletionRequest:
    """Read a request body.

    Raises:
        InvalidRequest: It is not JSON, a field has the wrong type, or the tool messages do not
            belong to the calls before them.
    """
    chat = None if _has_many_parts(body) else _read(body)
    chat = chat or _read_again(body)
    _check_tool_messages(chat.messages)
    _check_tool_choice(chat)
    return chat


LARGE: Final = 1024 * 1024
"""Bytes from which on a body is looked at before it is read."""

MANY_PARTS: Final = 100_000
"""Objects and lists of a large body; one that is large for its text or its images has few."""


def _has_many_parts(body: bytes) -> bool:
    """Whether a body is to be read by pydantic alone, which makes no object of what it refuses.

    16 MB of empty lists, decoded first, would hold the event loop for 1 s instead of 0.2.
    """
    return len(body) > LARGE and body.count(b"{") + body.count(b"[") > MANY_PARTS


def _read(body: bytes) -> ChatCompletionRequest | None:
    """Return what a body says, decoded first and then checked; None where something is wrong.

    Where pydantic reads the JSON itself, it decodes each tool and each content part once more, to
    ask which kind it is: 190 against 125 µs for 50 messages and 20 tools. And NaN would have to
    be looked for, which takes 30 µs.
    """
    try:
        value = from_json(body, allow_inf_nan=False, cache_strings="keys")
        return ChatCompletionRequest.model_validate(value)
    except ValueError:
        return None


def _read_again(body: bytes) -> ChatCompletionRequest:
    """Say what is wrong with a body, in words for JSON: of an object, not of a dictionary.

    Raises:
        InvalidRequest: It is not JSON, or a field has the wrong type.
    """
    try:
        chat = ChatCompletionRequest.model_validate_json(body)
    except pydantic.ValidationError as error:
        raise _invalid(error.errors(include_url=False, include_input=False)) from None
    if b"NaN" in body or b"Infinity" in body:
        json.loads(body, parse_constant=_refuse_constant)
    return chat


def _refuse_constant(name: str) -> None:
    raise InvalidRequest(f"`{name}` is not JSON.", code="invalid_json")


def _check_tool_messages(messages: list[Message]) -> None:
    """Refuse a tool result without its call, as OpenAI does; never repair it in silence."""
    known: set[str] = set()
    for index, message in enumerate(messages):
        if message.role == "assistant":
            for call_index, call in enumerate(message.tool_calls or ()):
                _check_call(call.type, call.function or call.custom, index, call_index)
                known.add(call.id)
        elif message.role == "tool" and message.tool_call_id not in known:
            raise InvalidRequest(
                "A message with role `tool` must answer a `tool_calls` entry of an assistant "
                f"message before it; no call has the id `{message.tool_call_id[:64]}`.",
                param=f"messages[{index}].tool_call_id",
            )


def _check_call(kind: str, call: object, index: int, call_index: int) -> None:
    if call is None:
        raise InvalidRequest(
            f"A tool call of type `{kind}` needs the field `{kind}`.",
            param=f"messages[{index}].tool_calls[{call_index}].{kind}",
            code="missing_required_parameter",
        )


def _check_tool_choice(chat: ChatCompletionRequest) -> None:
    choice = chat.tool_choice
    if choice is None or choice == "none" or choice == "auto":
        return
    if not chat.tools:
        raise InvalidRequest(
            "`tool_choice` is only allowed when `tools` are specified.", param="tool_choice"
        )
    if isinstance(choice, NamedToolChoice) and getattr(choice, choice.type) is None:
        raise InvalidRequest(
            f"A tool choice of type `{choice.type}` needs the field `{choice.type}`.",
            param=f"tool_choice.{choice.type}",
            code="missing_required_parameter",
        )


def _invalid(errors: list[ErrorDetails]) -> InvalidRequest:
    # Where a union was tried, the member that got furthest says best what is wrong.
    error = max(errors, key=lambda e: len(e["loc"]))
    if error["type"] == "json_invalid":
        return InvalidRequest(
            "We could not parse the JSON body of your request: "
            f"{error.get('ctx', {}).get('error', 'invalid JSON')}.",
            code="invalid_json",
        )
    param = _path(error["loc"])
    if error["type"].startswith("union_tag"):
        # The discriminator of messages is `role`, that of parts and tools is `type`.
        param += ".type" if param.rpartition("[")[0].endswith(("content", "tools")) else ".role"
        known = error.get("ctx", {}).get("expected_tags")
        hint = f"expected one of {known}" if known else "a string is required"
        return InvalidRequest(
            f"Invalid value for '{param}': {hint}.", param=param, code="invalid_value"
        )
    if not param:
        return InvalidRequest("The body of the request must be a JSON object.", code="invalid_type")
    if error["type"] == "missing":
        return InvalidRequest(
            f"Missing required parameter: '{param}'.",
            param=param,
            code="missing_required_parameter",
        )
    code = "invalid_type" if error["type"].endswith("_type") else "invalid_value"
    message = error["msg"].removeprefix("Value error, ")
    return InvalidRequest(f"Invalid value for '{param}': {message}.", param=param, code=code)


def _path(loc: tuple[int | str, ...]) -> str:
    """Return a location as OpenAI writes it: `messages[0].content[1].image_url.url`."""
    path = ""
    for i, step in enumerate(loc):
        if isinstance(step, int):
            path += f"[{step}]"
        elif not _is_union_member(loc, i):
            path += f".{step}" if path else step
    # A key of the client's own may be part of it, of any length.
    return path[:200]


_LISTS_OF_UNIONS = ("messages", "tools")
_UNION_FIELDS = ("stop", "tool_choice", "function_call")


def _is_union_member(loc: tuple[int | str, ...], i: int) -> bool:
    """Whether step `i` names the union member that pydantic tried: no part of the JSON."""
    if i == 0:
        return False
    before = loc[i - 1]
    if isinstance(before, int):
        # The list of `content` is itself a member of a union, named between field and index.
        return loc[i - 2] in _LISTS_OF_UNIONS or (i > 2 and loc[i - 3] == "content")
    return before == "content" or (i == 1 and before in _UNION_FIELDS)
