"""Google's Gemini API: its own, and the one in Google's cloud (Vertex)."""

from policy.schema import ProviderRow
from proxy.http import HttpClient
from proxy.provider import Provider
from proxy.providers.over_http import (
    HttpProvider,
    RewritingTransport,
    error_map,
    http_provider,
    http_transport,
)
from translators.gemini_generate.errors import error_from_response
from translators.gemini_generate.translator import GeminiGenerateTranslator

__all__ = ["create"]


def create(row: ProviderRow, *, key: str | None, client: HttpClient) -> HttpProvider:
    """Return the provider of a row of dialect `gemini_generate`.

    The key goes into `x-goog-api-key`, never into the URL, where logs would show it.
    """
    if row.credentials is not None:
        return _on_vertex(row, client)
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


def _on_vertex(row: ProviderRow, client: HttpClient) -> HttpProvider:
    # Imported here: other rows need nothing of it.
    from proxy.providers.vertex import GoogleToken, gemini_on_vertex  # noqa: PLC0415

    token = GoogleToken()
    transport = http_transport(row, client=client, credentials={}, authorize=token)
    rewrite = gemini_on_vertex(row.project or "", row.location or "")
    # The version that google-genai asks for there, too.
    translator = GeminiGenerateTranslator(api_version=row.api_version or "v1beta1", on_vertex=True)
    map_error = error_map(token.dropped_by(error_from_response))
    return Provider(translator, RewritingTransport(transport, rewrite), map_error)
