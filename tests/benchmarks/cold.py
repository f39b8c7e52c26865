"""What small things cost on a core that has rested: a chunk of a steady stream comes to such a one.

    python -m tests.benchmarks.cold

For each line: µs after 2 ms of sleep, by the clock, the median of 600 times, of which the first
line is the measuring itself; and µs of CPU where it is done again and again. The first is what
counts for streams: a thing costs as much as the code and the objects that it touches, for all of
them are to be fetched; fifty times the second is not rare. Run it on a machine with nothing else
to do, and compare lines of one run.
"""

import random
import re
import time
from collections.abc import Callable
from statistics import median
from typing import Any, Final, NamedTuple

from tests.benchmarks.micro import microseconds
from translators.anthropic_messages.stream import AnthropicMessagesStream
from translators.protocol import Chunk, ResponseContext
from translators.sse import ServerSentEvent, SSEDecoder

REST: Final = 0.002
"""Seconds between two chunks, of 50 streams that have one each 100 ms."""

TIMES: Final = 600

EVENTS: Final = (
    b'data: {"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":9}}}\n\n',
    b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n',
)
DELTA: Final = (
    b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}\n'
    b"\n"
)


class _Named(NamedTuple):
    data: bytes
    payload: bool


def ways() -> dict[str, Callable[[], object]]:
    """Return what is measured, by what it is."""
    decoder, stream = SSEDecoder(), AnthropicMessagesStream(ResponseContext("chatcmpl-1", 1, "m"))
    for data in EVENTS:
        for event in decoder.feed(data):
            stream.feed(event)
    (delta,) = decoder.feed(DELTA)
    whole = re.compile(rb"(?:event: (.*+)\n)?data: (.*+)\n\n").fullmatch
    return {
        "nothing": lambda: None,
        "a byte in bytes, by its number": lambda: 0x0D in DELTA,
        "a byte in bytes, as bytes": lambda: b"\r" in DELTA,
        "dict()": dict,
        "dict[str, Any]()": dict[str, Any],
        "Chunk, a struct": lambda: Chunk(DELTA, True),
        "the same as a named tuple": lambda: _Named(DELTA, True),
        "a pattern that an event matches": lambda: whole(DELTA),
        "an event, decoded": lambda: decoder.feed(DELTA),
        "an event, translated": lambda: stream.feed(delta),
        "ServerSentEvent": lambda: ServerSentEvent(b"", DELTA),
    }


def rested(call: Callable[[], object]) -> float:
    """Return the µs of a call after a rest."""
    time.sleep(REST)
    began = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - began) / 1000


def main() -> None:
    """Print what everything costs."""
    calls = ways()
    again = {name: microseconds(call, 10_000) for name, call in calls.items()}
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(TIMES):
        # In turn, each time in another order: what comes before leaves something in the caches.
        for name in random.sample(list(calls), len(calls)):
            took[name].append(rested(calls[name]))
    print(f"{'µs':32} {'rested':>8} {'again':>8}")
    for name in calls:
        print(f"{name:32} {median(took[name]):8.1f} {again[name]:8.2f}")


if __name__ == "__main__":
    main()
