"""A line of the log: nothing that is written into it can end it, or begin another."""

import json
import os
import time
from typing import Any, Final, Literal

import msgspec

__all__ = ["STDERR", "LogFormat", "as_ascii", "clock", "format_for", "json_line", "printable"]

LogFormat = Literal["json", "text"]

STDERR: Final = 2
"""The descriptor that the log is written to."""


def format_for(setting: Literal["auto", "json", "text"], descriptor: int = STDERR) -> LogFormat:
    """Return the format that `EP_LOG_FORMAT` asks for: `auto` is text on a terminal, else JSON."""
    if setting == "auto":
        return "text" if os.isatty(descriptor) else "json"
    return setting


def json_line(fields: dict[str, Any]) -> bytes:
    """Return a JSON object as one line of ASCII, whatever its texts hold: lone surrogates, too."""
    return json.dumps(fields, separators=(",", ":")).replace("\x7f", "\\u007f").encode() + b"\n"


def as_ascii(data: bytes) -> bytes:
    """Return JSON with nothing in it that a terminal or a reader of lines could take for more.

    JSON escapes the control characters below space; those above 126, U+2028 and the like may stand
    in it as they are.
    """
    if data.isascii() and 0x7F not in data:
        return data
    return json_line(msgspec.json.decode(data)).removesuffix(b"\n")


def printable(text: str) -> str:
    """Return a text with line ends, control characters and invisible ones escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def clock(seconds: float) -> str:
    """Return a time since the epoch for people: local, to the millisecond."""
    whole = int(seconds)
    day = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(whole))
    return f"{day}.{int((seconds - whole) * 1000):03d}"
