"""Ended spans to a collector, on a thread of its own: nothing of it delays a request.

What ends is encoded there and then, and goes into a bounded queue; where that is full, it is lost.
The thread takes it out after a while, or when there is a batch of it, and does no more than to send
it. If it encoded, which takes 6 µs a span, every open answer would pause while it has the GIL; and
records that wait for that are what the garbage collector looks through meanwhile, again and again.
What a collector is too busy for is sent again, after the time that it asks for, until the batch is
too old: by then others need its place in the queue.
"""

import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from random import uniform
from typing import Final, Protocol

from proxy.telemetry.export.answers import Answer, Exporter
from proxy.telemetry.export.counts import DeliveryCounts
from proxy.telemetry.export.encoding import EncodedSpan, packed
from proxy.telemetry.export.schedule import Schedule
from proxy.telemetry.tracing.records import SpanRecord

__all__ = ["LAST_SECONDS", "MAX_REQUEST", "Delivery", "Parcels", "Sender"]

LAST_SECONDS: Final = 4.0
"""What is left at the end may take this long."""

MAX_REQUEST: Final = 2 * 1024 * 1024
"""Bytes of one request, unless a single span is larger. A gRPC server takes 4 MiB at most, if
nobody told it otherwise."""

_REPORT_EVERY: Final = 60.0
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 16.0
_LEAST_TRY: Final = 0.05
_LONGEST_QUIET: Final = 300.0
_LAST_TRIES: Final = 2
"""Of a request at the end."""

log = logging.getLogger("execution_platform.telemetry")


class Parcel(Protocol):
    """The spans of one request, put together one by one.

    Attributes:
        size: Bytes so far.
    """

    size: int

    def add(self, span: EncodedSpan, most: int) -> bool:
        """Add a span, unless there are others and it would be more than `most` bytes with them."""
        ...

    def finish(self) -> bytes:
        """Return the request."""
        ...


Parcels = Callable[[], Parcel]


class Sender:
    """Sends requests, again and again where that may help.

    Args:
        exporter: Makes one try.
        seconds: How long a try may take.
        patience: Seconds for one request, with all tries and the waits between them.
        failed: Is told of each try that failed.

    Attributes:
        stopping: Whether the end has come.
        until: Then all has to be over, as of `time.monotonic`.
        quiet_until: Before this time, as of `time.monotonic`, the collector wants to hear nothing.
    """

    def __init__(
        self,
        exporter: Exporter,
        *,
        seconds: float,
        patience: float,
        failed: Callable[[Answer], None] = lambda answer: None,
    ) -> None:
        self._exporter = exporter
        self._seconds = seconds
        self._patience = patience
        self._failed = failed
        self.until = float("inf")
        self.stopping = threading.Event()
        self.quiet_until = 0.0

    def stop(self, seconds: float) -> None:
        """Wait for nothing any more: what is not sent within `seconds` is given up."""
        self.until = time.monotonic() + seconds
        self.stopping.set()

    def send(self, body: bytes) -> Answer:
        """Send a request, and return the answer to the last try. Blocks."""
        end = time.monotonic() + self._patience
        wait, last_tries = _FIRST_WAIT, _LAST_TRIES
        while True:
            left = min(end, self.until) - time.monotonic()
            answer = self._exporter.send(body, max(min(self._seconds, left), _LEAST_TRY))
            if answer.taken:
                return answer
            self._failed(answer)
            # Not all of those that lost the same collector are to come back in the same moment.
            pause = wait * uniform(0.8, 1.2) if answer.after is None else answer.after  # noqa: S311
            again = time.monotonic() + pause
            if answer.after is not None:
                self.quiet_until = min(again, time.monotonic() + _LONGEST_QUIET)
            last_tries -= self.stopping.is_set()
            if not answer.again or again >= min(end, self.until) or not last_tries:
                return answer
            if self.stopping.is_set():
                time.sleep(pause)
            else:
                self.stopping.wait(pause)
            wait = min(wait * 2, _LONGEST_WAIT)


class Delivery:
    """Delivers spans, from when it is made until `shutdown`; a process that forks makes its own.

    Args:
        exporter: Sends a request.
        parcels: Begins a request.
        schedule: How much is kept, and when it is sent.
        seconds: How long one try may take.
        encode: Makes of a span what a parcel takes.
    """

    def __init__(
        self,
        exporter: Exporter,
        parcels: Parcels,
        schedule: Schedule,
        *,
        seconds: float,
        encode: Callable[[SpanRecord], EncodedSpan] = packed,
    ) -> None:
        self._exporter = exporter
        self._encode = encode
        self._parcels = parcels
        self._schedule = schedule
        self._sender = Sender(
            exporter, seconds=seconds, patience=schedule.patience, failed=self._failed
        )
        self._queue: deque[EncodedSpan] = deque()
        self._wake = threading.Event()
        self._closed = False
        # Written by whoever ends spans; all that is below, by the thread and `shutdown`.
        self._overflown = self._late = 0
        self._lock = threading.Lock()
        self._given_up = False
        self._in_hand = self._exported = self._rejected = self._unreachable = self._failures = 0
        self._trouble = ""
        self._reported, self._lost_then = float("-inf"), 0
        self._told = float("-inf")
        self._thread = threading.Thread(target=self._run, name="ep-spans", daemon=True)
        self._thread.start()

    def put(self, span: SpanRecord) -> None:
        """Take a span that has ended; never waits. For one thread at a time."""
        queue = self._queue
        waiting = len(queue)
        if self._closed:
            self._late += 1
            return
        if waiting >= self._schedule.queue:
            self._overflown += 1
            return
        try:
            queue.append(self._encode(span))
        except Exception as error:  # noqa: BLE001  else the request that it is of would fail
            self._tell(error)
            self._late += 1
            return
        if waiting >= self._schedule.batch - 1 and not self._wake.is_set():
            self._wake.set()

    def counts(self) -> DeliveryCounts:
        """Return what became of the spans so far."""
        with self._lock:
            return DeliveryCounts(
                exported=self._exported,
                dropped={
                    "queue_full": self._overflown,
                    "rejected": self._rejected,
                    "unreachable": self._unreachable + self._late,
                },
                failed_exports=self._failures,
            )

    def stop(self, seconds: float = LAST_SECONDS) -> None:
        """Take nothing any more; what is left is delivered within `seconds`. Does not wait."""
        if not self._closed:
            self._closed = True
            self._sender.stop(seconds)
            self._wake.set()

    def shutdown(self, seconds: float = LAST_SECONDS) -> None:
        """Stop, and wait until what is left is delivered, or the time is over. Blocks."""
        self.stop(seconds)
        if self._given_up:
            return
        self._thread.join(max(self._sender.until - time.monotonic(), 0))
        with self._lock:
            self._given_up = True
            self._unreachable += self._in_hand + len(self._queue)
        self._exporter.close()
        self._report(last=True)

    def _run(self) -> None:
        worth = True
        while worth and not self._sender.stopping.is_set():
            woken = self._wake.wait(self._schedule.delay)
            self._wake.clear()
            self._sender.stopping.wait(max(self._sender.quiet_until - time.monotonic(), 0))
            waiting = len(self._queue)
            batches = waiting - waiting % self._schedule.batch
            worth = self._deliver(batches if woken else waiting)
            self._report()
        if worth:
            self._deliver(len(self._queue))

    def _deliver(self, count: int) -> bool:
        """Send the spans that have waited longest; return whether it is worth going on."""
        while count > 0 and not self._given_up:
            try:
                spans, answer = self._send(min(count, self._schedule.batch))
            except Exception as error:  # noqa: BLE001  else no span would be delivered any more
                self._tell(error)
                spans, answer = max(self._in_hand, 1), Answer(taken=False, again=True)
                self._account(answer)
            count -= spans
            if answer.again and self._sender.stopping.is_set():
                # The others would not get there either, and the process waits for this.
                return False
        return True

    def _send(self, count: int) -> tuple[int, Answer]:
        self._in_hand = 0
        parcel = self._parcels()
        while self._in_hand < count:
            span = self._queue.popleft()
            # Before it is added: one that cannot be is not to come again and again.
            self._in_hand += 1
            if not parcel.add(span, MAX_REQUEST):
                self._queue.appendleft(span)
                self._in_hand -= 1
                break
        spans = self._in_hand
        answer = self._sender.send(parcel.finish())
        self._account(answer)
        return spans, answer

    def _account(self, answer: Answer) -> None:
        with self._lock:
            if self._given_up:
                return
            spans, self._in_hand = self._in_hand, 0
            if answer.taken:
                rejected = min(max(answer.rejected, 0), spans)
                self._exported += spans - rejected
                self._rejected += rejected
            elif answer.again:
                self._unreachable += spans
            else:
                self._rejected += spans
            self._trouble = answer.words

    def _failed(self, answer: Answer) -> None:
        if self._given_up:
            return
        self._failures += 1
        self._trouble = answer.words
        self._report()

    def _report(self, *, last: bool = False) -> None:
        """Tell the log of trouble, once in a while."""
        counts = self.counts().dropped
        lost = sum(counts.values())
        if lost == self._lost_then and (last or not self._trouble):
            return
        now = time.monotonic()
        if not last and now < self._reported + _REPORT_EVERY:
            return
        self._reported, self._lost_then = now, lost
        listed = ", ".join(f"{number} {reason}" for reason, number in counts.items() if number)
        log.warning(
            "delivery of spans: %s; lost so far: %s",
            self._trouble or "more have ended than could be sent",
            listed or "none",
        )
        self._trouble = ""

    def _tell(self, error: Exception) -> None:
        """Tell the log of a fault of ours, once in a while: it may come with each span."""
        now = time.monotonic()
        if now < self._told + _REPORT_EVERY:
            return
        self._told = now
        place = traceback.extract_tb(error.__traceback__)[-1]
        # Its text may be of a span.
        where = (type(error).__name__, place.filename, place.lineno)
        log.error("spans could not be delivered: %s at %s:%s", *where)
