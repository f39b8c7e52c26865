"""What can go wrong with Quality Fabric; the embedded form and the remote one raise the same."""

from translators.errors import ExecutionPlatformError

__all__ = [
    "InvalidSuite",
    "QualityFabricError",
    "QualityStoreBusy",
    "QualityStoreError",
    "QualityUnreachable",
    "SuiteConflict",
    "SuiteNotFound",
    "error_of",
]


class QualityFabricError(ExecutionPlatformError):
    """Base class: catch this to catch everything that Quality Fabric raises."""

    type = "invalid_request_error"
    status_hint = 400


class InvalidSuite(QualityFabricError):
    """What was sent is no test suite, or asks for something in a wrong way; `param` says where."""

    code = "invalid_suite"


class SuiteNotFound(QualityFabricError):
    """The project has no suite of this id."""

    status_hint = 404
    code = "suite_not_found"


class SuiteConflict(QualityFabricError):
    """The project has another suite of the same id; a suite never changes."""

    status_hint = 409
    code = "suite_conflict"


class QualityStoreError(QualityFabricError):
    """The database cannot be used: it is damaged, of another program, full, or not writable."""

    type = "server_error"
    status_hint = 500
    code = "quality_store_error"


class QualityStoreBusy(QualityStoreError):
    """Other processes kept the database locked for too long, or too much waits for it."""

    type = "service_unavailable_error"
    status_hint = 503
    code = "quality_store_busy"
    retry_after = 1.0


class QualityUnreachable(QualityFabricError):
    """The remote service gave no answer, or none that its interface has."""

    type = "server_error"
    status_hint = 502
    code = "quality_unreachable"


_BY_CODE: dict[str | None, type[QualityFabricError]] = {
    **{
        kind.code: kind
        for kind in (
            *(InvalidSuite, SuiteNotFound, SuiteConflict),
            *(QualityStoreError, QualityStoreBusy),
        )
    },
    "invalid_json": InvalidSuite,
    "invalid_parameter": InvalidSuite,
}


def error_of(
    message: str, *, kind: str, param: str | None, code: str | None, status: int
) -> QualityFabricError:
    """Return the error that a remote service's error object stands for.

    Args:
        message: Of the object.
        kind: Its type.
        param: Of the object.
        code: Of the object; says which class it is.
        status: Of the answer.
    """
    found = _BY_CODE.get(code, QualityFabricError)(message, param=param, code=code)
    found.type = kind
    found.status_hint = status
    return found
