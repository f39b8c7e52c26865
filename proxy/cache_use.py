"""What one request wants of kept answers, and what became of that."""

from dataclasses import dataclass

__all__ = ["ANY_ANSWER", "CacheControl", "CacheUse", "cache_control"]


@dataclass(frozen=True, slots=True)
class CacheControl:
    """What a client says of the answer that it wants.

    Attributes:
        read: A kept answer will do.
        keep: The answer may be kept.
        max_age: Seconds, for a kept answer; None: whatever the persona allows.
    """

    read: bool = True
    keep: bool = True
    max_age: float | None = None

    @property
    def header(self) -> str:
        """The same as a header; empty where nothing is said."""
        age = () if self.max_age is None else (f"max-age={self.max_age:.0f}",)
        read, keep = ("no-cache",) * (not self.read), ("no-store",) * (not self.keep)
        return ", ".join((*read, *keep, *age))


ANY_ANSWER = CacheControl()
"""What is wanted where nothing is said."""


def cache_control(value: str) -> CacheControl:
    """Read the header `cache-control` of a request (RFC 9111, 5.2.1).

    `no-cache`, `no-store` and `max-age` count; other directives mean nothing here, and nothing
    is wrong with them.
    """
    read = keep = True
    max_age: float | None = None
    for directive in value.lower().split(","):
        name, _, argument = (part.strip() for part in directive.partition("="))
        argument = argument.strip('"')
        if name == "no-cache":
            read = False
        elif name == "no-store":
            keep = False
        elif name == "max-age" and argument.isascii() and argument.isdecimal():
            # Longer numbers than that are longer than anything is kept.
            max_age = float(argument[:12])
    return CacheControl(read, keep, max_age)


@dataclass(slots=True)
class CacheUse:
    """Of a request to a persona whose answers are kept.

    Attributes:
        ttl: Seconds that its answer may be given again.
        key: What stands for the request; None where its answer must be a new one.
        why_not: Why it must, in one word.
        age: Seconds since the answer was kept that is given again; None: it is a new one.
    """

    ttl: float
    key: str | None = None
    why_not: str | None = None
    age: float | None = None

    @property
    def word(self) -> str:
        """What is said of it."""
        return "miss" if self.age is None else "hit"
