"""The records of `logging`, ours, uvicorn's and the libraries', as lines.

An exception is told by its type and by where it came from, never by its words: those may repeat
what a client said, a key, or a provider's answer. Records of libraries count from `info` on,
whatever the level: what some of them say below it holds whole requests.
"""

import asyncio
import errno
import logging
import os
import sys
import threading
import traceback
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any, Final, cast

from proxy.logs.context import SERVING
from proxy.logs.lines import STDERR, LogFormat, clock, json_line, printable

__all__ = ["JsonLines", "LineHandler", "TextLines", "logging_config", "loop_errors_logged"]

LONGEST_MESSAGE: Final = 8192
"""Characters of a message."""

MOST_FRAMES: Final = 40
"""Frames of a traceback: those next to the failure."""

MOST_BEHIND: Final = 5
"""Exceptions behind an exception: what it came from, and what a group of them holds."""

OWN: Final = ("execution_platform", "proxy")
"""Our own loggers, and what is below them."""


class JsonLines(logging.Formatter):
    """Each record as one JSON object; the keys are in the README."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with its line feed."""
        line: dict[str, Any] = {
            "time": round(record.created, 3),
            "event": "log",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
            **_ids(),
        }
        if (error := _error(record)) is not None:
            line["exception"] = _told(error)
        return json_line(line).decode()


class TextLines(logging.Formatter):
    """Each record as a line for people; a traceback below it, each line of it set in."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines, with their line feeds."""
        ids = "".join(f" {name}={value}" for name, value in _ids().items())
        said = f"{record.levelname} {record.name}: {_message(record)}{ids}"
        lines = [f"{clock(record.created)} {printable(said)}"]
        if (error := _error(record)) is not None:
            lines += _in_words(_told(error))
        return "\n".join(lines) + "\n"


def _message(record: logging.LogRecord) -> str:
    message = record.getMessage().strip("\r\n")
    return message if len(message) <= LONGEST_MESSAGE else message[:LONGEST_MESSAGE] + "…"


def _ids() -> dict[str, str]:
    serving = SERVING.get()
    if serving is None or serving.is_over:
        return {}
    trace_id = serving.trace_id
    return {"request_id": serving.request_id} | ({} if trace_id is None else {"trace_id": trace_id})


def _error(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None


def _told(error: BaseException) -> dict[str, Any]:
    """Return where an exception came from, and those behind it."""
    told = _place(error)
    seen, waiting = {id(error)}, _behind(error)
    behind: list[dict[str, Any]] = []
    while waiting and len(behind) < MOST_BEHIND:
        one = waiting.pop(0)
        if id(one) not in seen:
            seen.add(id(one))
            behind.append(_place(one))
            waiting += _behind(one)
    return {**told, "behind": behind} if behind else told


def _place(error: BaseException) -> dict[str, Any]:
    kind = type(error)
    told: dict[str, Any] = {"type": f"{kind.__module__}.{kind.__qualname__}"}
    if isinstance(error, OSError) and error.errno is not None:
        told["errno"] = errno.errorcode.get(error.errno, str(error.errno))
    told["traceback"] = [
        {"file": frame.f_code.co_filename, "line": line, "function": frame.f_code.co_qualname}
        for frame, line in list(traceback.walk_tb(error.__traceback__))[-MOST_FRAMES:]
    ]
    return told


def _behind(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    if isinstance(error, BaseExceptionGroup):
        found += cast("BaseExceptionGroup[BaseException]", error).exceptions
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found if cause is None else [cause, *found]


def _in_words(told: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for one, what in ((told, ""), *((one, "behind it: ") for one in told.get("behind", ()))):
        number = f" ({one['errno']})" if "errno" in one else ""
        lines.append(f"  {what}Traceback (most recent call last) of {one['type']}{number}")
        lines += [
            f"    {frame['file']}:{frame['line']} in {frame['function']}"
            for frame in one["traceback"]
        ]
    return [printable(line) for line in lines]


class LineHandler(logging.Handler):
    """Writes records to standard error, each with one write: those of several processes do not mix.

    Making one has the process's warnings, and the exceptions that nobody catches, become records,
    too: by themselves they would be written as they are, words and all.

    Args:
        log_format: Of the lines.
    """

    def __init__(self, log_format: LogFormat) -> None:
        super().__init__()
        self.setFormatter(JsonLines() if log_format == "json" else TextLines())
        logging.captureWarnings(True)
        sys.excepthook = _uncaught
        sys.unraisablehook = _unraisable
        threading.excepthook = _ended_thread

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. A log that nobody can write to any more is no reason to stop serving."""
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001  `logging` would show the arguments then
            line = self.format(_instead_of(record, error))
        with suppress(OSError):
            os.write(STDERR, line.encode(errors="backslashreplace"))


def _instead_of(record: logging.LogRecord, error: Exception) -> logging.LogRecord:
    """Return what is logged for a record that cannot be: its arguments do not fit its text."""
    said = "a record could not be written: its arguments do not fit its text"
    place = (record.name, logging.ERROR, record.pathname, record.lineno)
    return logging.LogRecord(*place, said, None, (type(error), error, error.__traceback__))


log = logging.getLogger("execution_platform")


def _uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if isinstance(error, Exception):
        log.critical("the process ends with an error of its own", exc_info=(kind, error, trace))
    else:
        sys.__excepthook__(kind, error, trace)


def _unraisable(found: "sys.UnraisableHookArgs") -> None:
    error = found.exc_value
    log.error("an exception came where nobody could catch it", exc_info=error or False)


def _ended_thread(found: threading.ExceptHookArgs) -> None:
    name = None if found.thread is None else found.thread.name
    log.error("the thread `%s` ended with an error", name, exc_info=found.exc_value or False)


@contextmanager
def loop_errors_logged() -> Generator[None]:
    """Log what the running event loop complains of without the words of its exceptions.

    Its own handler shows tasks as they are, with the exception's text in them.
    """
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(_complained)
    try:
        yield
    finally:
        loop.set_exception_handler(before)


def _complained(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    task = context.get("task") or context.get("future")
    name = f" ({task.get_name()})" if isinstance(task, asyncio.Task) else ""
    error: BaseException | None = context.get("exception")
    logging.getLogger("asyncio").error("%s%s", context["message"], name, exc_info=error or False)


def logging_config(level: str, log_format: LogFormat) -> dict[str, Any]:
    """Return what `logging.config.dictConfig` takes, for this process and its workers.

    Args:
        level: Of `LOG_LEVELS`.
        log_format: Of the lines.
    """
    name = level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"lines": {"()": "proxy.logs.records.LineHandler", "log_format": log_format}},
        "root": {"level": "INFO" if name == "DEBUG" else name, "handlers": ["lines"]},
        "loggers": {
            **{own: {"level": name} for own in OWN},
            # Its propagators repeat what a caller's headers hold that they do not understand.
            "opentelemetry": {"level": "ERROR"},
            # uvicorn sets the levels of its own itself, and brings handlers where it is not told.
            "uvicorn": {"level": "INFO", "handlers": [], "propagate": True},
            "uvicorn.error": {"handlers": [], "propagate": True},
            "uvicorn.access": {"handlers": [], "propagate": False},
        },
    }
