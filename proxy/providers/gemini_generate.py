"""Google's Gemini API."""

from policy.schema import ProviderRow
from proxy.http import HttpClient
from proxy.providers.over_http import HttpProvider, http_provider
from translators.gemini_generate.errors import error_from_response
from translators.gemini_generate.translator import GeminiGenerateTranslator

__all__ = ["create"]


def create(row: ProviderRow, *, key: str | None, client: HttpClient) -> HttpProvider:
    """Return the provider of a row of dialect `gemini_generate`.

    The key goes into `x-goog-api-key`, never into the URL, where logs would show it.
    """
    credentials = {} if key is None else {row.api_key_header or "x-goog-api-key": key}
    translator = GeminiGenerateTranslator()
    if row.api_version is not None:
        translator = GeminiGenerateTranslator(api_version=row.api_version)
    return http_provider(
        row,
        client=client,
        credentials=credentials,
        translator=translator,
        error_from_response=error_from_response,
    )
