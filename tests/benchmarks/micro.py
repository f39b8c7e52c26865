"""What the micro-benchmarks share: the requests of `make bench`, and its upstream's answers."""

import gc
import time
import timeit
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from policy.personas import apply
from policy.schema import Policy
from proxy.config import load_policy
from tests.benchmarks import systems
from tests.benchmarks.asyncio_upstream import Dialect
from tests.benchmarks.programs import WIRE
from tests.benchmarks.work import MODELS, SENTENCE, Api, Size, Work
from translators.protocol import HttpRequest, ResponseContext, Translator
from translators.sse import ServerSentEvent
from translators.wire.request import ChatCompletionRequest, parse_request

__all__ = [
    "SIZES",
    "answer",
    "body",
    "chat",
    "microseconds",
    "policy",
    "print_row",
    "print_whole",
]

SIZES: dict[str, Size] = {"small request": "small", "50 messages, 20 tools": "large"}
"""The rows for requests: a system prompt and a message, and what a long conversation brings."""

_WIRE = {"openai": "openai_chat", "anthropic": "anthropic_messages", "gemini": "gemini_generate"}


def microseconds(call: Callable[[], object], number: int) -> float:
    """Return the CPU time of one call, the least of many rounds: the machine may be shared.

    With the garbage collector, whose part in a server depends on what else there is.
    """
    timer = timeit.Timer(call, setup=gc.enable, timer=time.process_time)
    return min(timer.repeat(number=number, repeat=15)) / number * 1e6


def print_row(name: str, cost: float) -> None:
    """Print a figure of `microseconds`."""
    print(f"{name:32} {cost:8.2f} µs")


@cache
def policy() -> Policy:
    """Return the policy of `make bench`: a persona for each API, with a system prompt."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "policy.yaml")
        file.write_text(systems.policy(upstream=9))
        return load_policy(file, environ={})


def body(api: Api, size: Size = "small") -> bytes:
    """Return the body of a client's request to the persona of an API."""
    return Work(size=size).body("openai", api)


def chat(api: Api, size: Size = "small") -> ChatCompletionRequest:
    """Return such a request as its persona makes it, ready to be translated."""
    return apply(parse_request(body(api, size)), policy().personas[api])


def answer(api: Api) -> bytes:
    """Return a whole answer of 1,000 characters in an API's own words."""
    text = (SENTENCE * 10)[:1000]
    return Dialect(WIRE / f"{_WIRE[api]}.txt").write("whole", text=text, count=200)


def print_whole(
    translator: Translator[HttpRequest, bytes, ServerSentEvent], api: Api, model: str | None = None
) -> None:
    """Print what requests and an answer that are not streamed cost in a dialect.

    Args:
        translator: The dialect's.
        api: Whose requests and answers these are.
        model: The target's; None: that of `make bench`.
    """
    target = model or MODELS[api]
    for name, size in SIZES.items():
        asked, number = chat(api, size), 2000 if size == "small" else 200
        print_row(name, microseconds(lambda c=asked: translator.request(c, model=target), number))
    native, context = answer(api), ResponseContext("chatcmpl-1", 1, target)
    print_row("whole answer", microseconds(lambda: translator.response(native, context), 2000))
