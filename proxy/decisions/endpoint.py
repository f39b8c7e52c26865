"""`GET /v1/ep/decisions/{request_id}`: what became of a request, for the key that made it."""

from starlette.requests import Request
from starlette.responses import Response

from proxy.access import Access
from proxy.addresses import is_loopback
from proxy.errors import error_response
from proxy.exchange import Caller
from proxy.middleware import RequestState, is_request_id
from proxy.service import Service
from translators.errors import AccessDenied, ExecutionPlatformError, InvalidRequest

__all__ = ["retrieve_decision"]


async def retrieve_decision(request: Request) -> Response:
    """Answer `GET /v1/ep/decisions/{request_id}`."""
    service = Service.of(request.scope)
    request_id: str = request.path_params["request_id"]
    try:
        caller = _caller(service.generation.access, request)
        data = await _found(service, caller, request_id)
    except ExecutionPlatformError as error:
        RequestState.of(request.scope).error = error
        return error_response(error)
    return Response(data, media_type="application/json", headers={"cache-control": "no-store"})


def _caller(access: Access, request: Request) -> Caller:
    """Return who asks.

    Raises:
        AccessDenied: It is nobody who may.
    """
    caller = access.caller(request.scope)
    # Without keys all requests are everybody's, which is for nobody but who is on this machine.
    if access.open and not (request.client is not None and is_loopback(request.client.host)):
        raise AccessDenied(
            "This server has no client keys: decisions are told on its own machine only. Set "
            "EP_CLIENT_KEYS, or add `client_keys` to the policy.",
            code="loopback_only",
            status=403,
        )
    return caller


async def _found(service: Service, caller: Caller, request_id: str) -> bytes:
    """Return the record of a request of the caller's.

    Raises:
        InvalidRequest: There is none.
        SiblingsSilent: Another process of the server has to be asked again.
    """
    if not service.kept.is_on:
        raise _unknown("This server keeps no decisions (EP_DECISIONS=0).", "decisions_off")
    if is_request_id(request_id):
        data = service.kept.find(caller.tenant, request_id)
        if data is None and service.siblings is not None:
            data = await service.siblings.ask(caller.tenant, request_id)
        if data is not None:
            return data
    shown = f"`{request_id}`" if is_request_id(request_id) else "that is none"
    raise _unknown(
        f"No request of this client key is known under the id {shown} (`x-request-id`, or the "
        f"log's `request_id`). The last {service.settings.decisions} requests are kept, fewer if "
        "they are large, until the server ends; each replica knows its own alone. The line of the "
        "request in the log has its trace id.",
        "decision_not_found",
    )


def _unknown(message: str, code: str) -> InvalidRequest:
    return InvalidRequest(message, param="request_id", code=code, status=404)
