"""What the providers over HTTP share: headers, query and the error table."""

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from policy.schema import ProviderRow
from proxy.http import HttpClient, HttpStatusError, HttpTransport
from proxy.provider import Provider
from translators.errors import ProviderError
from translators.protocol import HttpRequest, Translator
from translators.sse import ServerSentEvent

__all__ = ["HttpProvider", "http_provider"]

HttpProvider = Provider[HttpRequest, bytes, ServerSentEvent]


def http_provider(
    row: ProviderRow,
    *,
    client: HttpClient,
    credentials: Mapping[str, str],
    translator: Translator[HttpRequest, bytes, ServerSentEvent],
    error_from_response: Callable[[int, Mapping[str, str], bytes], ProviderError],
) -> HttpProvider:
    """Return the provider of a policy row.

    Args:
        row: Base URL, extra headers, query and time limits.
        client: Shared by all providers.
        credentials: The headers that carry the key.
        translator: For the row's dialect.
        error_from_response: The dialect's table: status, headers (names in lower case), body.
    """

    def map_error(error: Exception) -> ProviderError | None:
        if isinstance(error, HttpStatusError):
            return error_from_response(error.status, error.headers, error.body)
        return None

    transport = HttpTransport(
        client=client,
        base_url=str(row.base_url).rstrip("/"),
        headers={**row.headers, **credentials},
        query=urlencode(row.query),
        timeouts=row.timeouts,
    )
    return Provider(translator, transport, map_error)
