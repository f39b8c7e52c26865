"""Tool names: those that the API refuses, in a form that it takes, and back.

"Must start with a letter or an underscore. Must be a-z, A-Z, 0-9, or contain underscores, dots,
colons and dashes, with a maximum length of 128" (`FunctionDeclaration.name`, google-genai 3.4).

A refused name becomes a mark, and its UTF-8 bytes: letters, digits and underscores as they are,
any other as a dash and two hexadecimal digits. A legal name that begins with the mark is
written so too: the name alone says how to read it back, and no answer needs its request.
"""

import re

__all__ = ["MAX_LENGTH", "decode_name", "encode_name"]

MAX_LENGTH = 128
"""Characters of a name, as it is sent."""

_MARK = "_x_"
_LEGAL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]*")
_ENCODED = re.compile(r"_x_((?:[a-zA-Z0-9_]|-[0-9a-f]{2})+)")
_ESCAPE = re.compile(rb"-([0-9a-f]{2})")
_FOREIGN = re.compile(rb"[^a-zA-Z0-9_]")


def encode_name(name: str) -> str:
    """Return the name to send; it is `name` itself where the API takes it."""
    if _LEGAL.fullmatch(name) and not name.startswith(_MARK):
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
