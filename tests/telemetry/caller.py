"""Somebody with a trace of its own, and what of it a provider got to see."""

import json
import secrets
from typing import Any

import httpx

from tests.serving import Proxy, SandboxProcess

__all__ = ["CANARY", "CHAT", "STATE", "Caller", "upstream"]

CHAT = "/v1/chat/completions"

CANARY = "canary-91c2"
"""Stands in what may go neither to a provider's headers nor to a collector."""

STATE = "state-4d1e"
"""Stands in `tracestate`, which goes on with the trace: to the collector, but to no provider."""


class Caller:
    """A client with a trace of its own for every request."""

    def __init__(self) -> None:
        self.trace, self.span = secrets.token_hex(16), secrets.token_hex(8)
        self.headers = {
            "traceparent": f"00-{self.trace}-{self.span}-01",
            "tracestate": f"vendor={STATE}",
            "baggage": f"user={CANARY}",
            "x-private": CANARY,
        }

    def ask(self, server: Proxy, persona: str, text: str = "Hi", **fields: Any) -> httpx.Response:
        """Ask, and read the answer to its end."""
        message = {"role": "user", "content": f"{text} {self.trace}"}
        body = {"model": persona, "messages": [message], **fields}
        with httpx.Client(trust_env=False, timeout=30) as client:
            return client.post(server.url + CHAT, json=body, headers=self.headers)


def upstream(sandbox: SandboxProcess, caller: Caller) -> list[dict[str, str]]:
    """Return the headers of the requests that the provider got for this caller."""
    found = httpx.get(f"{sandbox.url}/_sandbox/requests", trust_env=False).json()
    return [entry["headers"] for entry in found if caller.trace in json.dumps(entry["body"])]
