"""Anthropic's Messages API."""

from policy.schema import ProviderRow
from proxy.http import HttpClient
from proxy.providers.over_http import HttpProvider, http_provider
from translators.anthropic_messages.errors import error_from_response
from translators.anthropic_messages.translator import AnthropicMessagesTranslator

__all__ = ["create"]


def create(row: ProviderRow, *, key: str | None, client: HttpClient) -> HttpProvider:
    """Return the provider of a row of dialect `anthropic_messages`.

    The key goes into `x-api-key`, which Anthropic and every server of its dialect read;
    `authorization: Bearer`, the newer form, is understood by Anthropic alone.
    """
    credentials = {} if key is None else {row.api_key_header or "x-api-key": key}
    return http_provider(
        row,
        client=client,
        credentials=credentials,
        translator=AnthropicMessagesTranslator(default_max_tokens=row.default_max_tokens),
        error_from_response=error_from_response,
    )
