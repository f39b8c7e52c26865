"""What the providers over HTTP share: headers, query and the error table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from policy.schema import ProviderRow
from proxy.call import Call
from proxy.http import Authorize, HttpClient, HttpStatusError, HttpTransport
from proxy.provider import EventSource, Provider
from translators.errors import ProviderError
from translators.protocol import HttpRequest, Translator
from translators.sse import ServerSentEvent

__all__ = [
    "ErrorFromResponse",
    "HttpProvider",
    "RewritingTransport",
    "bearer",
    "error_map",
    "http_provider",
    "http_transport",
]

HttpProvider = Provider[HttpRequest, bytes, ServerSentEvent]

ErrorFromResponse = Callable[[int, Mapping[str, str], bytes], ProviderError]
"""From status, headers (names in lower case) and body of an answer that is not a success."""


def bearer(row: ProviderRow, key: str | None) -> dict[str, str]:
    """Return the header of a key for OpenAI, and who does as it does.

    The key goes into `authorization: Bearer`, or bare into the header that the row names
    (`api-key` for Azure).
    """
    if key is None:
        return {}
    if row.api_key_header is not None:
        return {row.api_key_header: key}
    return {"authorization": f"Bearer {key}"}


def http_provider(
    row: ProviderRow,
    *,
    client: HttpClient,
    credentials: Mapping[str, str],
    translator: Translator[HttpRequest, bytes, ServerSentEvent],
    error_from_response: ErrorFromResponse,
) -> HttpProvider:
    """Return the provider of a policy row.

    Args:
        row: Base URL, extra headers, query and time limits.
        client: Shared by all providers.
        credentials: The headers that carry the key.
        translator: For the row's dialect.
        error_from_response: The dialect's table.
    """
    transport = http_transport(row, client=client, credentials=credentials)
    return Provider(translator, transport, error_map(error_from_response))


def http_transport(
    row: ProviderRow,
    *,
    client: HttpClient,
    credentials: Mapping[str, str],
    authorize: Authorize | None = None,
) -> HttpTransport:
    """Return the transport of a policy row; `authorize` where each request needs its own."""
    return HttpTransport(
        client=client,
        base_url=str(row.base_url).rstrip("/"),
        headers={**row.headers, **credentials},
        query=urlencode(row.query),
        timeouts=row.timeouts,
        authorize=authorize,
    )


def error_map(
    error_from_response: ErrorFromResponse,
) -> Callable[[Exception], ProviderError | None]:
    """Return a provider's `map_error` for a table of answers that are not successes."""

    def map_error(error: Exception) -> ProviderError | None:
        if isinstance(error, HttpStatusError):
            return error_from_response(error.status, error.headers, error.body)
        return None

    return map_error


@dataclass(frozen=True, slots=True)
class RewritingTransport:
    """Sends requests in another form than the dialect's: a cloud's.

    Attributes:
        inner: The transport to the cloud.
        rewrite: Makes a request the cloud's; the one it is given stays as it is.
    """

    inner: HttpTransport
    rewrite: Callable[[HttpRequest], HttpRequest]

    async def send(self, request: HttpRequest, call: Call) -> bytes:
        """Send a request; return the body of the answer."""
        return await self.inner.send(self.rewrite(request), call)

    async def open(self, request: HttpRequest, call: Call) -> EventSource[ServerSentEvent]:
        """Send a request; return the events of the answer."""
        return await self.inner.open(self.rewrite(request), call)

    async def aclose(self) -> None:
        """Release what the transport holds."""
        await self.inner.aclose()
