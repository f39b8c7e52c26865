"""What could be served right now: which provider is configured, and which is reachable."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from proxy.claude_cli import Credential
from proxy.engine import Engine
from proxy.http_client.proxies import Proxies
from proxy.http_client.targets import target_of
from translators.errors import ProviderError

__all__ = ["Health"]

PROBE_SECONDS = 2.0
"""How long a provider's address may take to accept a connection."""

PROBE_AGE = 10.0
"""Seconds for which a probe's result is used again: probes of ours must not be a load."""


class Health:
    """Knows what an engine could serve; probes its providers' addresses.

    Args:
        engine: What it could serve.
        credentials: By provider, whose credential the Claude CLI uses.
        proxies: Forward proxies: what is behind one is as reachable as the proxy is.
    """

    def __init__(
        self,
        engine: Engine,
        credentials: Mapping[str, Credential] | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        self._engine = engine
        self._proxies = proxies or Proxies({})
        self._credentials = credentials or {}
        self._lock = asyncio.Lock()
        self._probed_at = -PROBE_AGE
        self._reachable: dict[str, str] = {}

    async def report(self) -> tuple[bool, dict[str, Any]]:
        """Return whether any persona can be served by somebody, and all that is known."""
        async with self._lock:
            if time.monotonic() - self._probed_at > PROBE_AGE:
                await self._probe()
        providers = {name: self._provider(name) for name in self._engine.policy.providers}
        personas = {name: self._persona(name, providers) for name in self._engine.policy.personas}
        ready = all(persona["status"] == "ok" for persona in personas.values())
        served = [persona["status"] != "unavailable" for persona in personas.values()]
        body = {
            "status": "ready" if ready else "degraded" if any(served) else "unavailable",
            "personas": personas,
            "providers": providers,
        }
        return any(served), body

    async def _probe(self) -> None:
        rows = {
            name: row.base_url
            for name, row in self._engine.policy.providers.items()
            if self._engine.availability.get(name) is None
        }
        results = await asyncio.gather(*(_connect(url, self._proxies) for url in rows.values()))
        self._reachable = dict(zip(rows, results, strict=True))
        self._probed_at = time.monotonic()

    def _provider(self, name: str) -> dict[str, Any]:
        row = self._engine.policy.providers[name]
        unavailable = self._engine.availability.get(name)
        status: dict[str, Any] = {"dialect": row.dialect, "configured": unavailable is None}
        if unavailable is not None:
            return {**status, "status": "unavailable", "detail": unavailable}
        if (credential := self._credentials.get(name)) is not None:
            status["credential"] = credential.text
        trouble = self._reachable.get(name, "")
        return {
            **status,
            "status": "unreachable" if trouble else "ok",
            "reachable": not trouble,
            **({"detail": trouble} if trouble else {}),
        }

    def _persona(self, name: str, providers: dict[str, dict[str, Any]]) -> dict[str, Any]:
        policy = self._engine.policy
        needed = policy.personas[name].needs
        candidates = list(policy.candidates[name])
        if policy.last_resort is not None:
            candidates.append(policy.last_resort)
        able = [c.target for c in candidates if c.capabilities.issuperset(needed)]
        usable = [target for target in able if providers[target.provider]["status"] == "ok"]
        if not usable:
            names = dict.fromkeys(target.provider for target in able)
            return {"status": "unavailable", "candidates": list(names)}
        if (gates := self._engine.gates) is None:
            return {"status": "ok", "provider": usable[0].provider}
        held = gates.held(name)
        passing = [t for t in usable if (t.provider, t.model) not in held]
        return {
            # Where all fail their gates, they are asked all the same: it is no reason to take the
            # whole server out of service.
            "status": "ok" if passing else "degraded",
            "provider": (passing or usable)[0].provider,
            "live_gates": gates.report(name),
        }


async def _connect(url: str, proxies: Proxies) -> str:
    """Return what keeps us from connecting to a URL's server; empty where nothing does."""
    try:
        origin = target_of(url).origin
        via = proxies.between(origin)
    except ValueError:
        return "`base_url` is not the URL of a server"
    except ProviderError as error:
        return error.message
    host, port = (origin.host, origin.port) if via is None else (via.host, via.port)
    place = f"{host}:{port}" if via is None else f"the forward proxy {via.place}"
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return f"no connection to {place} within {PROBE_SECONDS:g} s"
    except OSError as error:
        return f"no connection to {place}: {error.strerror or type(error).__name__}"
    writer.close()
    return ""
