"""OpenAI, and every server that speaks its Chat Completions API."""

from urllib.parse import urlsplit

from policy.schema import ProviderRow
from proxy.http import HttpClient
from proxy.provider import ChatProvider
from proxy.providers import openai_responses
from proxy.providers.api_choice import ApiChoice
from proxy.providers.over_http import HttpProvider, bearer, http_provider
from translators.openai_chat.errors import error_from_response
from translators.openai_chat.request import OpenAIChatOptions
from translators.openai_chat.translator import OpenAIChatTranslator

__all__ = ["create"]


def create(row: ProviderRow, *, key: str | None, client: HttpClient) -> ChatProvider:
    """Return the provider of a row of dialect `openai_chat`.

    `api: chat` speaks Chat Completions and nothing else; otherwise Responses is at hand for what
    the server refers to it.
    """
    chat = _chat(row, key=key, client=client)
    if row.api == "chat":
        return chat
    responses = openai_responses.create(row, key=key, client=client)
    host = urlsplit(row.base_url).hostname or ""
    return ApiChoice(
        chat,
        responses,
        only_responses=row.api == "responses",
        # OpenAI's regions are called `eu.api.openai.com` and so on.
        at_openai=f".{host}".endswith(".api.openai.com"),
    )


def _chat(row: ProviderRow, *, key: str | None, client: HttpClient) -> HttpProvider:
    options = OpenAIChatOptions(
        stream_usage=row.stream_usage,
        max_tokens_field=row.max_tokens_field,
        message_extensions=row.message_extensions,
    )
    return http_provider(
        row,
        client=client,
        credentials=bearer(row, key),
        translator=OpenAIChatTranslator(options),
        error_from_response=error_from_response,
    )
