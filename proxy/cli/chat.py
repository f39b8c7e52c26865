"""`chat`: talk to a persona."""

import argparse
import asyncio
import os
import sys
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec

from proxy.engine import Engine
from proxy.exchange import Exchange
from proxy.http import post_events
from proxy.service import load_configuration, open_service
from translators.errors import ExecutionPlatformError
from translators.json import encode
from translators.wire.request import parse_request

__all__ = ["run"]

Ask = Callable[[list[dict[str, str]]], AbstractAsyncContextManager[Any]]


def run(options: argparse.Namespace) -> int:
    """Converse until the user ends it."""
    return asyncio.run(_remote(options) if options.url else _here(options))


async def _here(options: argparse.Namespace) -> int:
    configuration = load_configuration()
    async with open_service(configuration) as service:

        def ask(messages: list[dict[str, str]]) -> AbstractAsyncContextManager[Any]:
            return _in_process(service.generation.engine, options.persona, messages)

        return await _converse(options.persona, ask)


async def _remote(options: argparse.Namespace) -> int:
    url = f"{options.url.rstrip('/').removesuffix('/v1')}/v1/chat/completions"
    key = os.environ.get("EP_API_KEY", "anything")

    def ask(messages: list[dict[str, str]]) -> AbstractAsyncContextManager[Any]:
        body = _body(options.persona, messages)
        return post_events(url, body, {"authorization": f"Bearer {key}"})

    return await _converse(options.persona, ask)


async def _converse(persona: str, ask: Ask) -> int:
    interactive = sys.stdin.isatty()
    if interactive:
        print(f"You talk to `{persona}`. /exit or Ctrl-D ends it.")
    messages: list[dict[str, str]] = []
    failed = False
    while (text := await _read(interactive)) is not None:
        if not text:
            continue
        messages.append({"role": "user", "content": text})
        try:
            answer = await _print_answer(ask(messages))
        except ExecutionPlatformError as error:
            # The conversation goes on without the turn that failed.
            failed = True
            messages.pop()
            print(f"\n[{error.code or error.type}] {error.message}", file=sys.stderr)
            continue
        messages.append({"role": "assistant", "content": answer})
    return 1 if failed and not interactive else 0


async def _read(interactive: bool) -> str | None:
    """Return the user's next line; None at the end."""
    if interactive:
        print("\n> ", end="", flush=True)
        await _readable(sys.stdin.fileno())
        line = sys.stdin.readline()
    else:
        line = await asyncio.to_thread(sys.stdin.readline)
    text = line.strip()
    return None if not line or text == "/exit" else text


async def _readable(terminal: int) -> None:
    """Wait for a line so that Ctrl-C can end it: a thread would read on, and be waited for.

    Terminals only: an event loop cannot watch files.
    """
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(terminal, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(terminal)


async def _print_answer(answer: AbstractAsyncContextManager[Any]) -> str:
    said: list[str] = []
    async with answer as chunks:
        async for data in chunks:
            for choice in msgspec.json.decode(data)["choices"]:
                delta = choice["delta"]
                piece: str = delta.get("content") or delta.get("refusal") or ""
                said.append(piece)
                print(piece, end="", flush=True)
    print(flush=True)
    return "".join(said)


@asynccontextmanager
async def _in_process(
    engine: Engine, persona: str, messages: list[dict[str, str]]
) -> AsyncGenerator[AsyncGenerator[bytes]]:
    exchange = Exchange(
        chat=parse_request(_body(persona, messages)), request_id=f"req_{uuid.uuid4().hex}"
    )
    exchange.cancelled_because = "client_disconnect"
    async with engine.stream(exchange) as batches:

        async def data() -> AsyncGenerator[bytes]:
            async for batch in batches:
                for chunk in batch:
                    yield chunk.data

        yield data()


def _body(persona: str, messages: list[dict[str, str]]) -> bytes:
    return encode({"model": persona, "messages": messages, "stream": True})
