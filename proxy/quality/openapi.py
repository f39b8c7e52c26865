"""The OpenAPI 3.1 document, made of the operations and of the models they use."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from proxy import __version__
from proxy.quality.answers import ErrorAnswer
from proxy.quality.operations import OPERATIONS, PREFIX, Operation
from proxy.quality.records import IDENTIFIER

__all__ = ["openapi_document"]

_Named = Mapping[tuple[type[Any], JsonSchemaMode], dict[str, Any]]
"""Model and mode to the reference that stands for it."""

_REFERENCE: Final = "#/components/schemas/{model}"

# What any request may meet: a wrong parameter, a missing key, a store that cannot be used.
_ALWAYS: Final = (400, 401, 500, 503)


def openapi_document() -> dict[str, Any]:
    """Return the document that describes the service."""
    used: set[tuple[type[BaseModel], JsonSchemaMode]] = {(ErrorAnswer, "serialization")}
    for operation in OPERATIONS:
        used.add((operation.answer, "serialization"))
        if operation.body is not None:
            used.add((operation.body, "validation"))
    models = sorted(used, key=lambda entry: (entry[0].__name__, entry[1]))
    found, schemas = models_json_schema(models, ref_template=_REFERENCE)
    named: _Named = {(model, mode): schema for (model, mode), schema in found.items()}
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        described = _described(operation, named)
        paths.setdefault(PREFIX + operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Quality Fabric",
            "version": __version__,
            "description": "Keeps the results of test runs, and judges them by quality gates.",
        },
        "servers": [{"url": "/"}],
        "security": [{"clientKey": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "clientKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "One of the server's client keys; none where it has none.",
                }
            },
        },
    }


def _described(operation: Operation, named: _Named) -> dict[str, Any]:
    answer = named[operation.answer, "serialization"]
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": [*_in_path(operation), *_in_query(operation)],
        "responses": {str(status): _json(status, answer) for status in operation.statuses},
    }
    for status in sorted({*_ALWAYS, *operation.refusals}):
        refusal = _json(status, named[ErrorAnswer, "serialization"])
        described["responses"][str(status)] = refusal
    if operation.body is not None:
        content = {"application/json": {"schema": named[operation.body, "validation"]}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _json(status: int, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {"application/json": {"schema": schema}},
    }


def _in_path(operation: Operation) -> list[dict[str, Any]]:
    schema = {"type": "string", "pattern": IDENTIFIER}
    return [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]


def _in_query(operation: Operation) -> list[dict[str, Any]]:
    properties: dict[str, dict[str, Any]] = operation.query.model_json_schema().get(
        "properties", {}
    )
    return [
        {
            "name": name,
            "in": "query",
            "description": schema.pop("description"),
            "schema": schema,
        }
        for name, schema in properties.items()
    ]
