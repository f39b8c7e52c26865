"""OpenAI's Responses API."""

from policy.schema import ProviderRow
from proxy.http import HttpClient
from proxy.providers.over_http import HttpProvider, bearer, http_provider
from translators.openai_responses.errors import error_from_response
from translators.openai_responses.translator import (
    OpenAIResponsesOptions,
    OpenAIResponsesTranslator,
)

__all__ = ["create"]


def create(row: ProviderRow, *, key: str | None, client: HttpClient) -> HttpProvider:
    """Return the provider of a row of dialect `openai_responses`, or `openai_chat`.

    The key goes where `openai_chat` puts it: both APIs are one service.
    """
    options = OpenAIResponsesOptions(reasoning_summary=row.reasoning_summary)
    return http_provider(
        row,
        client=client,
        credentials=bearer(row, key),
        translator=OpenAIResponsesTranslator(options),
        error_from_response=error_from_response,
    )
