"""Fetches the media that a request names, within limits, and puts them in their place.

1. An address is fetched once for a request, however many providers are tried. Nothing is kept
   beyond the request: what one client may see is not another's to find in a cache. A later turn
   fetches again, and is the same byte for byte as long as the server says the same.
2. Everything that goes wrong is a `TranslationError`: this provider cannot be asked, and the
   next may fetch the address itself.
3. URLs may hold signatures: no log, span or error shows one.
"""

import asyncio
import builtins
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any
from urllib.parse import urljoin

from policy.media import MediaRules
from proxy.exchange import Exchange
from proxy.media.addresses import MediaProblem, checked, parse
from proxy.media.types import typed
from translators.errors import TimeoutError, TranslationError
from translators.media import Media
from translators.remote_media import RemoteMedia, remote_media, with_media
from translators.wire.request import ChatCompletionRequest

__all__ = ["MediaFetcher", "Resolve"]

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Looks up the addresses of a host and port; none where the host is not known."""

MOST_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)

AT_ONCE = 16
"""Downloads at the same time, of all requests."""

AT_ONCE_EACH = 4
"""Downloads at the same time, of one request."""

LOOK_UPS = 8
"""Look-ups at the same time. In threads of their own: a host whose name servers are silent holds
one for many seconds, and those of the event loop look up the providers."""

_CODES = {
    "address": ("invalid_image_url", "invalid_file_url"),
    "download": ("failed_to_download_image", "failed_to_download_file"),
    "too_large": ("image_file_too_large", "file_too_large"),
    "type": ("unsupported_image_media_type", "unsupported_file_media_type"),
}
"""OpenAI's codes for images (`ResponseError.code`, openai 3.54), and ours in their manner."""

_REMEDIES = {
    "address": "Use a public `https:` URL, or send it inside the request as a `data:` URL.",
    "download": "Check the address, or send it inside the request as a `data:` URL.",
    "too_large": "Send a smaller one.",
    "type": "Link to an image, PDF, audio, video or text file itself.",
}


class MediaFetcher:
    """Shared by all requests. Create it inside a running event loop.

    Args:
        rules: What may be fetched.
        request_timeout: Seconds that a request may take until its answer begins.
        resolve: Looks hosts up; None: the system's way.
        tls: Makes the certificates to trust.
    """

    def __init__(
        self,
        rules: MediaRules,
        *,
        request_timeout: float = 300.0,
        resolve: Resolve | None = None,
        tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        self._rules = rules
        self._request_timeout = request_timeout
        self._threads = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="media-look-up")
        self._resolve = resolve or self._look_up
        self._make_tls = tls
        self._tools: tuple[Any, ssl.SSLContext] | None = None
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def put_in_place(
        self,
        exchange: Exchange,
        chat: ChatCompletionRequest,
        addresses: Sequence[str],
        *,
        provider: str,
    ) -> ChatCompletionRequest:
        """Return `chat` with the media in place of `addresses`; nothing to do where none.

        Raises:
            TranslationError: They may not be fetched, or cannot be had.
            TimeoutError: The request's own time is over.
        """
        if not addresses:
            return chat
        places = self._places(exchange, addresses, provider)
        for place in places.values():
            if isinstance(known := exchange.media.get(place.url), MediaProblem):
                raise _refusal(exchange, place, known)
        missing = [place for url, place in places.items() if url not in exchange.media]
        if missing:
            await self._fetch_all(exchange, missing)
        found = {url: media for url, media in exchange.media.items() if isinstance(media, Media)}
        return with_media(chat, {url: found[url] for url in places})

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _places(
        self, exchange: Exchange, addresses: Sequence[str], provider: str
    ) -> dict[str, RemoteMedia]:
        """Return where the client wrote each address first: without the persona's own messages."""
        wanted = frozenset(addresses)
        places: dict[str, RemoteMedia] = {}
        for place in remote_media(exchange.request):
            if place.url not in wanted or place.url in places:
                continue
            if not self._rules.fetch:
                raise TranslationError(
                    f"`{place.param}` is an address. The provider `{provider}` does not fetch it, "
                    "and this server may not (`media.fetch` in its policy is off): send the media "
                    "inside the request as a `data:` URL.",
                    param=place.param,
                )
            places[place.url] = place
            if len(places) > self._rules.max_count:
                most = self._rules.max_count
                text = f"the request names more than {most} addresses to fetch"
                raise _refusal(exchange, place, MediaProblem("too_large", text))
        return places

    async def _fetch_all(self, exchange: Exchange, places: Sequence[RemoteMedia]) -> None:
        started = time.perf_counter()
        left = self._request_timeout - (started - exchange.started)
        limit = min(self._rules.timeout, left)
        budget = _Budget(self._rules.max_total_bytes)
        turns = asyncio.Semaphore(AT_ONCE_EACH)
        failed: list[_Failed] = []
        late: RemoteMedia | None = None
        try:
            async with asyncio.timeout(limit), asyncio.TaskGroup() as group:
                for place in places:
                    group.create_task(self._fetch(exchange, place, budget, turns))
        except* _Failed as errors:
            failed += [error for error in errors.exceptions if isinstance(error, _Failed)]
        except* builtins.TimeoutError:
            late = next(place for place in places if place.url not in exchange.media)
        finally:
            exchange.waited += time.perf_counter() - started
        if late is not None:
            if left <= self._rules.timeout:
                raise TimeoutError("total", self._request_timeout)
            text = f"it did not come within {self._rules.timeout:g} s"
            failed.append(_Failed(late, MediaProblem("download", text)))
        if failed:
            exchange.media[failed[0].place.url] = failed[0].problem
            raise _refusal(exchange, failed[0].place, failed[0].problem)
        exchange.span.event(
            "ep.media.fetched",
            {
                "ep.media.count": len(places),
                "ep.media.bytes": budget.used,
                "ep.media.seconds": time.perf_counter() - started,
            },
        )

    async def _fetch(
        self, exchange: Exchange, place: RemoteMedia, budget: "_Budget", turns: asyncio.Semaphore
    ) -> None:
        try:
            async with turns, self._slots:
                content, declared = await self._get(place.url, budget)
            exchange.media[place.url] = typed(content, declared, place.kind)
        except MediaProblem as problem:
            # Without its traceback: that holds what was read so far.
            raise _Failed(place, problem.with_traceback(None)) from None

    async def _get(self, url: str, budget: "_Budget") -> tuple[bytes, str]:
        """Return what is at an address, and the type that its server gives it."""
        module, tls = await self._load()
        after = ""
        for _ in range(MOST_REDIRECTS + 1):
            try:
                to = parse(url, self._rules.allow_hosts)
                found = checked(await self._resolve(to.host, to.port), allowed=to.allowed)
            except MediaProblem as problem:
                raise MediaProblem(problem.kind, f"{after}{problem.text}") from None
            async with module.download(to, found, tls) as page:
                if page.status == 200:
                    content = await page.read(self._rules.max_bytes, budget.take)
                    return content, page.headers.get("content-type", "")
                if page.status not in _REDIRECTS:
                    text = f"{after}its server answered with the status {page.status}"
                    raise MediaProblem("download", text)
                url = _location(url, page.headers)
            after = "it is redirected, and there "
        raise MediaProblem("address", f"it is redirected more than {MOST_REDIRECTS} times")

    async def _load(self) -> tuple[Any, ssl.SSLContext]:
        if self._tools is None:
            # Slow both, and most servers never need them: not in the way of other requests.
            module = await asyncio.to_thread(import_module, "proxy.media.download")
            self._tools = (module, await asyncio.to_thread(self._make_tls))
        return self._tools

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(
                self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            )
        except (OSError, UnicodeError):
            return ()
        return [str(address[0]) for *_, address in found]


class _Failed(Exception):
    """One of several downloads failed."""

    def __init__(self, place: RemoteMedia, problem: MediaProblem) -> None:
        super().__init__(place.param)
        self.place = place
        self.problem = problem


class _Budget:
    """Counts the bytes of one request's media."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.used = 0

    def take(self, size: int) -> None:
        """Count `size` more bytes.

        Raises:
            MediaProblem: They are too many.
        """
        self.used += size
        if self.used > self._most:
            text = f"the request's media together are larger than {self._most} bytes"
            raise MediaProblem("too_large", text)


def _location(url: str, headers: Mapping[str, str]) -> str:
    try:
        return urljoin(url, headers["location"])
    except (KeyError, ValueError):
        raise MediaProblem("download", "its server redirects to nowhere") from None


def _refusal(exchange: Exchange, place: RemoteMedia, problem: MediaProblem) -> TranslationError:
    exchange.span.event(
        "ep.media.refused", {"ep.media.param": place.param, "ep.media.problem": problem.kind}
    )
    code = _CODES[problem.kind][0 if place.kind == "image" else 1]
    return TranslationError(
        f"`{place.param}` cannot be fetched: {problem.text}. {_REMEDIES[problem.kind]}",
        param=place.param,
        code=code,
    )
