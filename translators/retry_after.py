"""When to come back: the headers by which providers say it."""

from collections.abc import Mapping

__all__ = ["retry_after"]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait, or None where the answer does not say.

    Reads `retry-after-ms` and `retry-after` in seconds (names in lower case). The date form of
    RFC 9110 needs a clock and no provider sends it.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < 7 * 24 * 3600:
            return seconds
    return None
