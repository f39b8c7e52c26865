"""Fetches the media that a request names, within limits, and puts them in their place.

1. An address is fetched once for a request, however many providers are tried. Nothing is kept
   beyond the request: what one client may see is not another's to find in a cache. A later turn
   fetches again, and is the same byte for byte as long as the server says the same.
2. Everything that goes wrong is a `TranslationError`: this provider cannot be asked, and the
   next may fetch the address itself.
3. All requests share what the server can do: downloads, look-ups, memory. Nobody has all of it,
   a request's own time limit begins with its turn, and without a turn it is told so.
4. URLs may hold signatures: no log, span or error shows one.
"""

import asyncio
import builtins
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from ipaddress import ip_address
from typing import Any
from urllib.parse import urljoin

from policy.media import MediaRules
from proxy.exchange import Exchange
from proxy.media.addresses import Destination, MediaProblem, checked, parse
from proxy.media.allowance import Allowance, memory
from proxy.media.look_up import LookUps
from proxy.media.refusals import busy, refusal
from proxy.media.shares import Shares
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

AT_ONCE = 32
"""Downloads at the same time, of all requests."""

AT_ONCE_TENANT = 16
"""Downloads at the same time, of one tenant's requests."""

AT_ONCE_EACH = 4
"""Downloads at the same time, of one request."""


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
        self._resolve = resolve
        self._make_tls = tls
        self._tools: tuple[Any, ssl.SSLContext] | None = None
        self._look_ups = LookUps()
        self._slots = Shares(AT_ONCE, AT_ONCE_TENANT)
        self._memory = memory(rules)

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
            TranslationError: They may not be fetched, or cannot be had; `MediaBusy`, where
                others use up what there is.
            TimeoutError: The request's own time is over.
        """
        if not addresses:
            return chat
        places = self._places(exchange, addresses, provider)
        for place in places.values():
            if isinstance(known := exchange.media.get(place.url), MediaProblem):
                raise refusal(exchange, place, known)
        missing = [place for url, place in places.items() if url not in exchange.media]
        if missing:
            await self._fetch_all(exchange, missing)
        found = {url: media for url, media in exchange.media.items() if isinstance(media, Media)}
        return with_media(chat, {url: found[url] for url in places})

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
                raise refusal(exchange, place, MediaProblem("too_large", text))
        return places

    async def _fetch_all(self, exchange: Exchange, places: Sequence[RemoteMedia]) -> None:
        started = time.perf_counter()
        tenant, slots = exchange.caller.tenant, min(len(places), AT_ONCE_EACH)
        allowance = Allowance(self._rules, self._memory, tenant, len(places))
        try:
            await self._wait_for_turn(exchange, places, slots, allowance)
            exchange.holds.append(allowance.release)
            try:
                await self._download_all(exchange, places, allowance)
            finally:
                self._slots.give(tenant, slots)
                got = [exchange.media.get(place.url) for place in places]
                allowance.keep(sum(len(media.content) for media in got if isinstance(media, Media)))
        finally:
            exchange.waited += time.perf_counter() - started
        exchange.span.event(
            "ep.media.fetched",
            {
                "ep.media.count": len(places),
                "ep.media.bytes": allowance.used,
                "ep.media.seconds": time.perf_counter() - started,
            },
        )

    async def _wait_for_turn(
        self,
        exchange: Exchange,
        places: Sequence[RemoteMedia],
        slots: int,
        allowance: Allowance,
    ) -> None:
        tenant = exchange.caller.tenant
        try:
            async with asyncio.timeout(min(self._rules.timeout, self._left(exchange))):
                await self._slots.take(tenant, slots)
                try:
                    await allowance.take()
                except BaseException:
                    self._slots.give(tenant, slots)
                    raise
        except builtins.TimeoutError:
            raise busy(exchange, places[0]) from None

    async def _download_all(
        self, exchange: Exchange, places: Sequence[RemoteMedia], allowance: Allowance
    ) -> None:
        left = self._left(exchange)
        turns = asyncio.Semaphore(AT_ONCE_EACH)
        failed: list[_Failed] = []
        late: RemoteMedia | None = None
        queued: set[str] = set()
        try:
            async with (
                asyncio.timeout(min(self._rules.timeout, left)),
                asyncio.TaskGroup() as group,
            ):
                for number, place in enumerate(places):
                    download = _Download(exchange, place, number, allowance, queued)
                    group.create_task(self._fetch(download, turns))
        except* _Failed as errors:
            failed += [error for error in errors.exceptions if isinstance(error, _Failed)]
        except* builtins.TimeoutError:
            late = next(place for place in places if place.url not in exchange.media)
        if late is not None:
            if left <= self._rules.timeout:
                raise TimeoutError("total", self._request_timeout)
            if late.url in queued:
                raise busy(exchange, late)
            text = f"it did not come within {self._rules.timeout:g} s"
            failed.append(_Failed(late, MediaProblem("download", text)))
        if failed:
            exchange.media[failed[0].place.url] = failed[0].problem
            raise refusal(exchange, failed[0].place, failed[0].problem)

    def _left(self, exchange: Exchange) -> float:
        """Seconds until the request's answer must have begun."""
        return self._request_timeout - (time.perf_counter() - exchange.started)

    async def _fetch(self, download: "_Download", turns: asyncio.Semaphore) -> None:
        place = download.place
        try:
            async with turns:
                content, declared = await self._get(download)
            download.exchange.media[place.url] = typed(content, declared, place.kind)
        except MediaProblem as problem:
            # Without its traceback: that holds what was read so far.
            raise _Failed(place, problem.with_traceback(None)) from None

    async def _get(self, download: "_Download") -> tuple[bytes, str]:
        """Return what is at an address, and the type that its server gives it."""
        module, tls = await self._load()
        after, url = "", download.place.url
        for _ in range(MOST_REDIRECTS + 1):
            try:
                to = parse(url, self._rules.allow_hosts)
                found = checked(await self._find(download, to), allowed=to.allowed)
            except MediaProblem as problem:
                raise MediaProblem(problem.kind, f"{after}{problem.text}") from None
            async with module.download(to, found, tls) as page:
                if page.status == 200:
                    download.allowance.expect(download.number, page.length)
                    content = await page.read(self._rules.max_bytes, download.allowance.count)
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

    async def _find(self, download: "_Download", to: Destination) -> Sequence[str]:
        """Return the addresses of a host."""
        if _is_address(to.host):
            return [to.host]
        if self._resolve is not None:
            return await self._resolve(to.host, to.port)
        tenant = download.exchange.caller.tenant
        download.queued.add(download.place.url)
        await self._look_ups.turn(tenant)
        download.queued.discard(download.place.url)
        return await self._look_ups.find(tenant, to.host, to.port)


@dataclass(frozen=True, slots=True)
class _Download:
    """One of a request's downloads.

    Attributes:
        exchange: The request's record.
        place: Where the request names the address.
        number: Of the download, for the allowance.
        allowance: The request's bytes.
        queued: Addresses whose host has no turn yet to be looked up.
    """

    exchange: Exchange
    place: RemoteMedia
    number: int
    allowance: Allowance
    queued: set[str]


class _Failed(Exception):
    """One of several downloads failed."""

    def __init__(self, place: RemoteMedia, problem: MediaProblem) -> None:
        super().__init__(place.param)
        self.place = place
        self.problem = problem


def _location(url: str, headers: Mapping[str, str]) -> str:
    try:
        return urljoin(url, headers["location"])
    except (KeyError, ValueError):
        raise MediaProblem("download", "its server redirects to nowhere") from None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
