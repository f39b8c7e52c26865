"""Names of functions, where the API refuses one.

The API takes a letter or underscore, then letters, digits, underscores, dots, colons and dashes,
128 at most (https://ai.google.dev/api/caching#FunctionDeclaration, and the SDK's own words in
google-genai 3.4).
"""

import re

from translators import names

__all__ = ["MAX_LENGTH", "decode_name", "encode_name"]

MAX_LENGTH = 128
"""Characters of a name, as it is sent."""

_LEGAL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]*")

decode_name = names.decode_name


def encode_name(name: str) -> str:
    """Return the name to send; it is `name` itself where the API takes it."""
    return names.encode_name(name, _LEGAL)
