"""`GET /v1/models`: the personas, as models."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from policy.schema import Persona
from proxy.engine import Engine
from proxy.errors import error_response
from proxy.generation import Generation
from proxy.middleware import RequestState
from proxy.service import Service
from translators.errors import ExecutionPlatformError, InvalidRequest
from translators.json import encode

__all__ = ["list_models", "retrieve_model"]


async def list_models(request: Request) -> Response:
    """Answer `GET /v1/models`."""
    service = Service.of(request.scope)
    generation = service.generation
    try:
        personas = _visible(generation, request)
    except ExecutionPlatformError as error:
        RequestState.of(request.scope).error = error
        return error_response(error)
    models = [
        _model(generation.engine, service.created, name, persona)
        for name, persona in personas.items()
    ]
    return _json({"object": "list", "data": models})


async def retrieve_model(request: Request) -> Response:
    """Answer `GET /v1/models/{id}`."""
    service = Service.of(request.scope)
    generation = service.generation
    name: str = request.path_params["id"]
    try:
        personas = _visible(generation, request)
        if name not in personas:
            raise InvalidRequest(
                f"The model '{name[:100]}' does not exist; `GET /v1/models` lists the personas.",
                param="model",
                code="model_not_found",
                status=404,
            )
    except ExecutionPlatformError as error:
        RequestState.of(request.scope).error = error
        return error_response(error)
    return _json(_model(generation.engine, service.created, name, personas[name]))


def _visible(generation: Generation, request: Request) -> Mapping[str, Persona]:
    """Return the personas that the caller may use."""
    caller = generation.access.caller(request.scope)
    personas = generation.engine.policy.personas
    if caller.personas is None:
        return personas
    return {name: row for name, row in personas.items() if name in caller.personas}


def _model(engine: Engine, created: int, name: str, persona: Persona) -> dict[str, Any]:
    """Return OpenAI's model object, with what we know beside it."""
    usable = [
        candidate
        for candidate in engine.policy.candidates[name]
        if engine.availability.get(candidate.target.provider) is None
        and candidate.capabilities.issuperset(persona.needs)
    ]
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "execution-platform",
        "description": persona.description,
        "requires": list(persona.requires),
        "providers": [candidate.target.provider for candidate in usable],
        "capabilities": sorted(frozenset[str]().union(*(c.capabilities for c in usable))),
    }


def _json(body: Any) -> Response:
    return Response(encode(body), media_type="application/json")
