"""What an HTTP status says of a failed request, whichever API answered with it."""

from collections.abc import Mapping
from typing import Final

from translators.errors import ErrorKind, ProviderError

__all__ = ["KIND_BY_STATUS", "UNEXPLAINED", "foreign_answer", "kind_of_status"]

KIND_BY_STATUS: Final[Mapping[int, ErrorKind]] = {
    401: "auth",
    402: "quota",
    403: "auth",
    404: "not_found",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    429: "rate_limit",
    503: "overloaded",
    504: "timeout",
}
"""What the APIs agree on; a dialect adds its own."""

UNEXPLAINED: Final = "The provider reported an error without saying which."


def kind_of_status(status: int, kinds: Mapping[int, ErrorKind]) -> ErrorKind:
    """Return what `status` means where the answer says nothing better."""
    if status in kinds:
        return kinds[status]
    if status < 400:
        return "protocol"
    return "invalid" if status < 500 else "server"


def foreign_answer(status: int, kinds: Mapping[int, ErrorKind], *, api: str) -> ProviderError:
    """Return the error for an answer that is none of `api`'s, such as a proxy's HTML."""
    return ProviderError(
        f"The provider answered HTTP {status} without an error of the {api} API.",
        # A 404 that is not the API's own tells of a wrong address, not of a missing model.
        kind="protocol" if status == 404 else kind_of_status(status, kinds),
        status=status,
    )
