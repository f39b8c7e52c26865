"""`PersonaRouter`: where a program begins.

A router reads the configuration as the server does, and opens nothing. The first chat opens what
is needed in the event loop that it runs in; every router of the same configuration shares that,
and it is closed when nobody uses it any more, or with the event loop (`lifetime` has the rules).
So a router may be made wherever one is needed, used from several event loops, and forgotten:
`async with`, `aclose` and `close` only do at once what happens anyway.
"""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from execution_platform import background
from execution_platform.asking import Backend, describe
from execution_platform.client import PersonaClient
from execution_platform.in_process import InProcess
from execution_platform.remote import Remote
from execution_platform.spi.answer import Served
from execution_platform.spi.client import LLMClient
from proxy.environment import ConfigurationError
from translators.errors import ExecutionPlatformError

__all__ = ["PersonaRouter"]


class PersonaRouter:
    """Routes requests to the providers of a persona.

    Args:
        policy: The policy file; None: what `EP_POLICY` names, or the shipped one.
        sandbox: Whether simulated providers stand in for the real ones, without keys and network;
            None: as `EP_SANDBOX` says.
        timeout: Seconds until an answer must have begun, over all attempts, and for a whole answer
            that is awaited; None: `EP_TIMEOUT`. Of a running proxy, whose own limit counts first:
            the longest silence, 600 where None.
        base_url: A running proxy that is to answer, in place of this process; with or without
            `/v1` at its end.
        api_key: One of its client keys; None: `EP_API_KEY`.

    Raises:
        ConfigurationError: An argument, a variable or `.env` is wrong.
        PolicyError: The policy file is wrong.
    """

    def __init__(
        self,
        *,
        policy: str | os.PathLike[str] | None = None,
        sandbox: bool | None = None,
        timeout: float | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
    ) -> None:
        self._backend: Backend
        if base_url is not None:
            if policy is not None or sandbox is not None:
                raise ConfigurationError(
                    "`policy` and `sandbox` are the proxy's own with `base_url`: leave them out, "
                    "or start that proxy with them."
                )
            self._backend = Remote(base_url, api_key=api_key, timeout=timeout)
            return
        if api_key is not None:
            raise ConfigurationError(
                "`api_key` is the client key of a running proxy: add its `base_url`. The keys of "
                "providers are read from variables such as EP_OPENAI_API_KEY."
            )
        given: dict[str, str] = {}
        if policy is not None:
            given["EP_POLICY"] = str(Path(policy))
        if sandbox is not None:
            given["EP_SANDBOX"] = "1" if sandbox else "0"
        if timeout is not None:
            given["EP_TIMEOUT"] = str(timeout)
        self._backend = InProcess(given)

    def select_provider(self, persona: str) -> str:
        """Return the provider that a plain request to a persona goes to; nobody is asked.

        A request may go to another one: what it needs (tools, images) counts, too, and so does
        what happens to the attempt, or happened to those before it (live gates). `served` of an
        answer says who it was. With `base_url` the proxy is asked for its decision, which blocks
        for a moment; no provider is.

        Args:
            persona: For instance `architect`.

        Raises:
            UnknownPersona: There is none of this name; it is a `RouterError` and a `ValueError`.
            NoProvider: Nobody can serve it; says for each candidate what is missing.
        """
        try:
            return self._backend.select_provider(persona)
        except ExecutionPlatformError as error:
            describe(error, Served())
            raise

    def get_client(self, persona: str) -> LLMClient:
        """Return a client that asks a persona.

        Args:
            persona: For instance `architect`.

        Raises:
            UnknownPersona: There is none of this name; it is a `RouterError` and a `ValueError`.
            NoProvider: Nobody can serve it; says for each candidate what is missing. With
                `base_url` both come with the first chat.
        """
        try:
            self._backend.check(persona)
        except ExecutionPlatformError as error:
            describe(error, Served())
            raise
        return PersonaClient(persona, self._backend)

    async def aclose(self) -> None:
        """Let go of all connections at once; those that other routers use stay.

        Clients of this router cannot be used any more. May be called again.
        """
        await self._backend.aclose()
        background.end_if_unused()

    def close(self) -> None:
        """Do the same outside of an event loop.

        Raises:
            RuntimeError: An event loop runs in this thread: use `aclose`.
        """
        self._backend.close()
        background.end_if_unused()

    async def __aenter__(self) -> Self:
        """Return the router."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of all connections."""
        await self.aclose()

    def __enter__(self) -> Self:
        """Return the router."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of all connections."""
        self.close()
