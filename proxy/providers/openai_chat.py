"""OpenAI, and every server that speaks its Chat Completions API."""

from policy.schema import ProviderRow
from proxy.http import HttpClient
from proxy.providers.over_http import HttpProvider, http_provider
from translators.openai_chat.errors import error_from_response
from translators.openai_chat.request import OpenAIChatOptions
from translators.openai_chat.translator import OpenAIChatTranslator

__all__ = ["create"]


def create(row: ProviderRow, *, key: str | None, client: HttpClient) -> HttpProvider:
    """Return the provider of a row of dialect `openai_chat`.

    The key goes into `authorization: Bearer`, or bare into the header that the row names
    (`api-key` for Azure).
    """
    credentials: dict[str, str] = {}
    if key is not None:
        name = row.api_key_header or "authorization"
        credentials[name] = key if row.api_key_header else f"Bearer {key}"
    options = OpenAIChatOptions(
        stream_usage=row.stream_usage,
        max_tokens_field=row.max_tokens_field,
        message_extensions=row.message_extensions,
    )
    return http_provider(
        row,
        client=client,
        credentials=credentials,
        translator=OpenAIChatTranslator(options),
        error_from_response=error_from_response,
    )
