"""The endpoints below `/quality`, for whichever application serves them."""

import logging
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache

from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from policy.spelling import did_you_mean, listed
from proxy.body import read_json_body, refuse
from proxy.disconnect import ClientDisconnected
from proxy.errors import InternalError, error_response
from proxy.quality.errors import InvalidSuite
from proxy.quality.openapi import openapi_document
from proxy.quality.operations import OPERATIONS, PREFIX, Operation, Query
from proxy.quality.service import QualityService
from translators.errors import ExecutionPlatformError
from translators.json import encode

__all__ = ["quality_routes"]

log = logging.getLogger("execution_platform.quality")


def quality_routes() -> list[Route]:
    """Return the routes; the application's state must have a `QualityService` as `quality`."""
    paths = dict.fromkeys(operation.path for operation in OPERATIONS)
    routes = [
        Route(PREFIX + path, endpoint, methods=list(endpoint.operations))
        for path in paths
        for endpoint in [_Endpoint(path)]
    ]
    routes.append(Route(f"{PREFIX}/openapi.json", _OpenAPI(), methods=["GET"]))
    return routes


class _Guarded(ABC):
    """A bare ASGI application for those who have a key."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        service = QualityService.of(scope)
        try:
            service.access().caller(scope)
            response = await self.answer(service, scope, receive)
        except ExecutionPlatformError as error:
            service.refused(scope, error)
            response = error_response(error)
        except ClientDisconnected:
            return
        except Exception as error:
            request_id = f"req_{uuid.uuid4().hex}"
            log.error("internal error in request %s", request_id, exc_info=error)
            response = error_response(InternalError(request_id))
        await refuse(response, scope, receive, send)

    @abstractmethod
    async def answer(self, service: QualityService, scope: Scope, receive: Receive) -> Response:
        """Return the answer.

        Raises:
            ExecutionPlatformError: There is none.
            ClientDisconnected: The client left.
        """


class _Endpoint(_Guarded):
    """The operations on one path.

    Args:
        path: Below `PREFIX`.
    """

    def __init__(self, path: str) -> None:
        self.operations = {one.method: one for one in OPERATIONS if one.path == path}

    async def answer(self, service: QualityService, scope: Scope, receive: Receive) -> Response:
        """Return what the operation of the request's method answers."""
        # Starlette serves HEAD wherever there is GET.
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        operation = self.operations[method]
        query = _query(operation, scope)
        body = b""
        if operation.body is not None:
            body = await read_json_body(
                scope,
                receive,
                max_bytes=service.settings.max_body_bytes,
                seconds=service.settings.body_timeout,
            )
        path: Mapping[str, str] = scope["path_params"]
        # All of it on the service's thread: reading a large suite takes its time, too.
        data, status = await service.do(
            lambda fabric: _done(operation, operation.do(fabric, path, query, body))
        )
        return Response(data, status_code=status, media_type="application/json")


class _OpenAPI(_Guarded):
    """`GET /quality/openapi.json`."""

    async def answer(self, service: QualityService, scope: Scope, receive: Receive) -> Response:
        """Return the document."""
        return Response(_openapi(), media_type="application/json")


@cache
def _openapi() -> bytes:
    return encode(openapi_document())


def _done(operation: Operation, answer: BaseModel) -> tuple[bytes, int]:
    return answer.model_dump_json().encode(), operation.status(answer)


def _query(operation: Operation, scope: Scope) -> Query:
    pairs = QueryParams(scope["query_string"]).multi_items()
    given = dict(pairs)
    known = operation.query.model_fields
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) or (
                f"The parameters are {listed(known)}." if known else "There are none here."
            )
            raise _wrong(name, f"Unknown parameter `{name[:100]}`. {hint}")
        if len([None for other, _ in pairs if other == name]) > 1:
            raise _wrong(name, f"The parameter `{name}` stands there twice. Give it once.")
    try:
        return operation.query.model_validate(given)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        name, message = str(detail["loc"][0]), detail["msg"]
        what = message.replace("Input should be", "it must be")
        raise _wrong(name, f"`{name}`: {what[0].lower()}{what[1:]}.") from None


def _wrong(name: str, message: str) -> InvalidSuite:
    return InvalidSuite(message, param=name[:100], code="invalid_parameter")
