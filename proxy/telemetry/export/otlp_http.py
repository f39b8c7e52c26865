"""OTLP over HTTP, with urllib3: blocking, for a thread of its own.

aiohttp, which the providers' calls go through, belongs to the event loop; nothing of the delivery
is to run there. urllib3 is what the SDK's own exporter has below requests.
"""

import gzip
import os
import ssl
import time
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from urllib3 import PoolManager, ProxyManager, Timeout, make_headers
from urllib3.exceptions import (
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    SSLError,
    TimeoutError,
)

from proxy import __version__
from proxy.telemetry.export.answers import Answer, accepted
from proxy.telemetry.export.otlp import OtlpSettings
from proxy.telemetry.variables import TelemetryError

__all__ = ["OtlpHttp"]

_BUSY: Final = frozenset({429, 502, 503, 504})
"""The statuses that OTLP lets a client repeat."""

_CONNECTIONS: Final = 32
"""As many as may be in use at the same time: one, but for what other processes report."""

_LONGEST_ANSWER: Final = 64 * 1024
_ADVICE: Final = {
    401: "; is OTEL_EXPORTER_OTLP_HEADERS right?",
    403: "; is OTEL_EXPORTER_OTLP_HEADERS right?",
    404: "; is the path of OTEL_EXPORTER_OTLP_ENDPOINT right?",
}


class OtlpHttp:
    """Posts exports to a collector, one after the other over the same connection.

    Args:
        settings: Where to, and how.

    Raises:
        TelemetryError: A certificate cannot be read.
    """

    def __init__(self, settings: OtlpSettings) -> None:
        self._url = settings.endpoint
        self._own = settings.headers
        self._gzip = settings.gzip
        self._headers = {
            "user-agent": f"execution-platform/{__version__}",
            **_credential(settings.endpoint),
            **settings.headers,
            "content-type": "application/x-protobuf",
        }
        if settings.gzip:
            self._headers["content-encoding"] = "gzip"
        self._pool = _pool(settings)

    def send(self, body: bytes, seconds: float) -> Answer:
        """Post an export; give up after `seconds`, which a server that trickles can stretch."""
        if self._gzip:
            # Spans repeat themselves: more effort gains little. The GIL is not held meanwhile.
            body = gzip.compress(body, compresslevel=1)
        try:
            response = self._pool.request(
                "POST",
                self._url,
                body=body,
                headers=self._headers,
                timeout=Timeout(total=seconds),
                retries=False,
                preload_content=False,
            )
            said = response.read(_LONGEST_ANSWER)
            if response.read(1):
                # Who says so much is no collector: the rest is not waited for.
                response.close()
            response.release_conn()
        except (HTTPError, OSError) as error:
            return Answer(taken=False, again=True, words=_words(error))
        status = response.status
        if 200 <= status < 300:
            return accepted(said, self._own)
        return Answer(
            taken=False,
            again=status in _BUSY,
            after=_retry_after(response.headers.get("retry-after")),
            words=f"it answered with status {status}{_ADVICE.get(status, '')}",
        )

    def close(self) -> None:
        """Close the connection."""
        self._pool.clear()


def _pool(settings: OtlpSettings) -> PoolManager:
    context = None
    if settings.endpoint.startswith("https:"):
        try:
            context = ssl.create_default_context(cafile=settings.certificate)
            if settings.client_certificate is not None:
                context.load_cert_chain(settings.client_certificate, settings.client_key)
        except OSError as error:
            # `ssl.SSLError` is one.
            raise TelemetryError(
                "A certificate or key of OTEL_EXPORTER_OTLP_CERTIFICATE, …_CLIENT_CERTIFICATE or "
                f"…_CLIENT_KEY cannot be read ({type(error).__name__}): they must be PEM files."
            ) from None
    proxy = _forward_proxy(settings.endpoint)
    if proxy is None:
        return PoolManager(1, maxsize=_CONNECTIONS, ssl_context=context)
    credential = {f"proxy-{name}": value for name, value in _credential(proxy).items()}
    return ProxyManager(
        proxy, 1, maxsize=_CONNECTIONS, ssl_context=context, proxy_headers=credential
    )


def _forward_proxy(url: str) -> str | None:
    """Return the forward proxy that the environment names for an address."""
    parts = urlsplit(url)
    proxies = getproxies_environment()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2], proxies):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _credential(url: str) -> dict[str, str]:
    """Return the header for user and password that stand in a URL."""
    user, joint, _ = urlsplit(url).netloc.rpartition("@")
    return make_headers(basic_auth=unquote(user)) if joint else {}


def _retry_after(value: str | None) -> float | None:
    """Return seconds; the header holds them, or a date."""
    if value is None:
        return None
    try:
        return max(float(int(value)), 0)
    except OverflowError:
        return None
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0)
    except ValueError:
        return None


def _words(error: Exception) -> str:
    """Say what is in the way. An exception's own text may hold the address, and a credential."""
    if isinstance(error, ProxyError):
        return f"the forward proxy: {_words(error.original_error)}"
    if isinstance(error, NameResolutionError):
        return "the name of its host is not known"
    if isinstance(error, NewConnectionError):
        cause = error.__cause__
        number = cause.errno if isinstance(cause, OSError) else None
        return os.strerror(number) if number else "no connection"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, SSLError):
        cause = error.args[0] if error.args else None
        reason = getattr(cause, "verify_message", None) or getattr(cause, "reason", None)
        return f"TLS: {reason}" if reason else "TLS failed"
    return f"the connection broke ({type(error).__name__})"
