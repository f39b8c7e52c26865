"""How many tokens a request would be billed for its prompt, as its provider's API counts them.

Nobody else can say it: the vendors publish no tokenizer of their newer models. The question goes
through the data path's own client, for the reasons that stand in `discovery.py`; the tests compare
it with what the vendors' SDKs send.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import unquote

import msgspec

from policy.providers import CLI_OPTIONS
from policy.schema import ProviderRow
from proxy.call import Call
from proxy.http import HttpClient
from proxy.providers.over_http import HttpProvider
from proxy.registry import create_provider
from translators.errors import InvalidRequest, ProviderError
from translators.errors import TimeoutError as ProviderTimeout
from translators.json import UNREADABLE
from translators.protocol import HttpRequest
from translators.wire.request import ChatCompletionRequest

__all__ = ["count_tokens", "counting_provider", "counting_row", "prompt_of"]

PATIENCE: Final = 60.0
"""Seconds for an answer: long documents are read before they are counted."""

_MESSAGES: Final = (
    *("messages", "model", "cache_control", "output_config", "speed", "system"),
    *("thinking", "tool_choice", "tools"),
)
"""Fields of `messages.count_tokens` (anthropic 2.12)."""

_RESPONSES: Final = (
    *("conversation", "input", "instructions", "model", "parallel_tool_calls", "personality"),
    *("previous_response_id", "reasoning", "text", "tool_choice", "tools", "truncation"),
)
"""Fields of `responses.input_tokens.count` (openai 3.54)."""

_PROMPT: Final = frozenset(
    {
        *("model", "messages", "tools", "tool_choice", "functions", "function_call"),
        *("parallel_tool_calls", "response_format", "reasoning_effort", "verbosity"),
    }
)
"""Parameters of Chat Completions that a model may be told of."""


@dataclass(frozen=True, slots=True)
class _Api:
    """How an API is asked.

    Attributes:
        question: From a native request to the one that counts it.
        answer: The field that holds the number.
    """

    question: Callable[[HttpRequest], HttpRequest]
    answer: str


def _of_messages(request: HttpRequest) -> HttpRequest:
    return _reduced(request, "/count_tokens", _MESSAGES)


def _of_responses(request: HttpRequest) -> HttpRequest:
    return _reduced(request, "/input_tokens", _RESPONSES)


def _reduced(request: HttpRequest, below: str, fields: tuple[str, ...]) -> HttpRequest:
    body = {name: request.body[name] for name in fields if name in request.body}
    return HttpRequest(request.path + below, body, request.headers)


def _of_gemini(request: HttpRequest) -> HttpRequest:
    """Return the request that counts a whole one, with its system prompt and tools.

    google-genai 3.4 offers `contents` alone for this API; the form is that of the API reference,
    as zed-industries/zed#29630 sends it. The model stands in it once more, as a resource's name.
    """
    place, _, _ = request.path.rpartition(":")
    _, _, model = place.removeprefix("/").partition("/")
    whole = {"model": unquote(model), **request.body}
    return HttpRequest(f"{place}:countTokens", {"generateContentRequest": whole}, request.headers)


_APIS: Mapping[str, _Api] = {
    "anthropic_messages": _Api(_of_messages, "input_tokens"),
    "gemini_generate": _Api(_of_gemini, "totalTokens"),
    "openai_responses": _Api(_of_responses, "input_tokens"),
}


def counting_row(name: str, row: ProviderRow) -> ProviderRow:
    """Return the row whose API counts for a provider.

    Chat Completions counts nothing; where Responses is at hand, that API does it. For the Claude
    CLI the API that it calls does, which knows nothing of the line that the CLI adds to a prompt.

    Raises:
        InvalidRequest: There is none; says why.
    """
    if row.credentials is not None:
        raise InvalidRequest(f"`{name}` is in a cloud, where tokens cannot be counted.")
    if row.dialect == "openai_chat" and row.api != "chat":
        row = row.model_copy(update={"dialect": "openai_responses"})
    if row.dialect == "claude_agent":
        common = row.model_fields_set - set(CLI_OPTIONS)
        given: dict[str, Any] = {option: getattr(row, option) for option in common}
        row = ProviderRow.model_validate({**given, "dialect": "anthropic_messages"})
    if row.dialect not in _APIS:
        api = "Chat Completions" if row.dialect == "openai_chat" else f"`{row.dialect}`"
        raise InvalidRequest(f"`{name}` cannot count tokens: {api} has no endpoint for it.")
    return row


def counting_provider(row: ProviderRow, *, key: str | None, client: HttpClient) -> HttpProvider:
    """Return the provider of a row from `counting_row`; it asks for nothing beside the count."""
    row = row.model_copy(update={"discover": False})
    # Dialects that count are spoken over HTTP.
    return cast("HttpProvider", create_provider(row, key=key, client=client))


def prompt_of(chat: ChatCompletionRequest) -> ChatCompletionRequest:
    """Return a request without the parameters that make no prompt.

    For a request that is counted by another API than it goes to: that one may refuse them.
    """
    others = type(chat).model_fields.keys() - _PROMPT
    return chat.model_copy(update=dict.fromkeys(others))


async def count_tokens(provider: HttpProvider, row: ProviderRow, request: HttpRequest) -> int:
    """Ask how many tokens the prompt of `request` has.

    Args:
        provider: Of `row`.
        row: From `counting_row`.
        request: As `provider`'s translator makes it; it is not sent.

    Raises:
        ProviderError: The API does not answer, or not with a number.
    """
    api = _APIS[row.dialect]
    question = api.question(request)
    try:
        async with asyncio.timeout(PATIENCE):
            data = await provider.send(question, Call())
        found = msgspec.json.decode(data, type=dict[str, Any]).get(api.answer)
    except ProviderError as error:
        raise _explained(error, question) from error
    except TimeoutError as error:
        raise ProviderTimeout("total", PATIENCE) from error
    except UNREADABLE as error:
        raise ProviderError("The count is not readable.", kind="protocol") from error
    if type(found) is not int:
        raise ProviderError(f"The count has no number in `{api.answer}`.", kind="protocol")
    return found


def _explained(error: ProviderError, question: HttpRequest) -> ProviderError:
    """Return the error of a server that may lack the endpoint, with the endpoint's name."""
    if error.status not in (404, 405):
        return error
    return ProviderError(
        f"{error.message} (Asked at `{question.path}`, which not every server has.)",
        kind=error.kind,
        status=error.status,
        native_type=error.native_type,
    )
