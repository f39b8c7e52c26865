"""Attributes that come again and again, such as those of a route or of a provider's model."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, cast

from proxy.telemetry.bounds import bounded_all

__all__ = ["Recurring", "recurring"]

_REMEMBERED: Final = 256
"""Of each function that `recurring` returns: 3 MB where all texts are as long as `bounds` allow."""


class Recurring(dict[str, Any]):
    """Attributes that many spans have alike; nobody changes one that is made.

    A span keeps it as it is, and it is encoded once: of the 46 attributes of a request 34 are such,
    and each costs a span a tenth of what one of its own does.

    Args:
        attributes: Texts are cut as those of a span are; None counts as one that is not there.

    Attributes:
        encoded: What the exporter made of them; None: it has had none of them yet.
    """

    __slots__ = ("encoded",)

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        for name, value in bounded_all(attributes).items():
            if value is not None:
                self[name] = tuple(cast("list[str]", value)) if isinstance(value, list) else value
        self.encoded: bytes | None = None


def recurring(*names: str) -> Callable[..., Recurring]:
    """Return a function from the values of attributes to them, which remembers what it made.

    Its arguments are in the order of the names. None stands for an attribute that is not there. The
    values of a name are of one type always: what is equal is taken for the same. What somebody else
    made up, a client or a provider, comes `bounded`, as it is remembered.
    """

    @lru_cache(maxsize=_REMEMBERED)
    def made(*values: Any) -> Recurring:
        return Recurring(dict(zip(names, values, strict=True)))

    return made
