"""JSON as the translators write it: compact UTF-8, keys in the order given."""

from typing import Final

import msgspec

__all__ = ["UNREADABLE", "encode"]

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are not the JSON they should be, however odd they are."""

encode: Final = msgspec.json.Encoder().encode
"""Return a value as JSON. Integers of any size are written out; a float that JSON has no form for
becomes null, which is why requests that hold one are refused at the door."""
