"""Tool names: those that an API refuses, in a form that it takes, and back.

A refused name becomes a mark, and its UTF-8 bytes: letters, digits and underscores as they are,
any other as a dash and two hexadecimal digits. A legal name that begins with the mark is
written so too: the name alone says how to read it back, and no answer needs its request.
"""

import re

__all__ = ["decode_name", "encode_name"]

_MARK = "_x_"
_ENCODED = re.compile(r"_x_((?:[a-zA-Z0-9_]|-[0-9a-f]{2})+)")
_ESCAPE = re.compile(rb"-([0-9a-f]{2})")
_FOREIGN = re.compile(rb"[^a-zA-Z0-9_]")


def encode_name(name: str, legal: re.Pattern[str]) -> str:
    """Return the name to send; it is `name` itself where it is all of the pattern `legal`."""
    if legal.fullmatch(name) and not name.startswith(_MARK):
        return name
    plain = _FOREIGN.sub(lambda byte: b"-%02x" % byte[0][0], name.encode(errors="replace"))
    return _MARK + plain.decode()


def decode_name(name: str) -> str:
    """Return the name that `encode_name` was given."""
    if not name.startswith(_MARK) or not (found := _ENCODED.fullmatch(name)):
        return name
    plain = _ESCAPE.sub(lambda code: bytes([int(code[1], 16)]), found[1].encode())
    try:
        return plain.decode()
    except UnicodeDecodeError:
        return name
