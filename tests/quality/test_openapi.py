"""The OpenAPI document: valid, and true of what the server says and takes."""

import json
import re
from typing import Any

import httpx
import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.quality.suites import result, suite, suites_url
from tests.serving import QualityServer


@pytest.fixture(scope="module")
def document(quality: QualityServer) -> dict[str, Any]:
    return httpx.get(f"{quality.url}/quality/openapi.json", trust_env=False).json()


def schema_of(document: dict[str, Any], operation: str, status: str | None) -> dict[str, Any]:
    """Return what an operation answers with a status, or takes."""
    (found,) = (
        one
        for path in document["paths"].values()
        for one in path.values()
        if one["operationId"] == operation
    )
    holder = found["requestBody"] if status is None else found["responses"][status]
    schema = holder["content"]["application/json"]["schema"]
    return {**schema, "components": document["components"]}


def check(value: Any, schema: dict[str, Any]) -> None:
    validator: Any = jsonschema.Draft202012Validator(schema)
    validator.validate(value)


def test_it_is_valid(document: dict[str, Any]):
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1.")


async def test_every_answer_is_as_described(
    document: dict[str, Any], quality: QualityServer, http: httpx.AsyncClient
):
    url, root = suites_url(quality.url, "described"), f"{quality.url}/quality"
    body = suite("run-1", result(), result("skipped"))
    check(body, schema_of(document, "submitTestSuite", None))
    asked = [
        ("submitTestSuite", 201, await http.post(url, json=body)),
        ("submitTestSuite", 200, await http.post(url, json=body)),
        ("submitTestSuite", 201, await http.post(url, json={**body, "id": "e", "results": []})),
        ("submitTestSuite", 409, await http.post(url, json={**body, "name": "other"})),
        ("submitTestSuite", 400, await http.post(url, json=[])),
        ("submitTestSuite", 415, await http.post(url, content=b"x")),
        ("listTestSuites", 200, await http.get(url)),
        ("listTestSuites", 400, await http.get(f"{url}?limit=0")),
        ("getTestSuite", 200, await http.get(f"{url}/run-1")),
        ("getTestSuite", 404, await http.get(f"{url}/run-2")),
        ("checkQualityGates", 200, await http.get(f"{url}/run-1/gates")),
        ("checkQualityGates", 200, await http.get(f"{url}/e/gates")),
        ("checkQualityGates", 404, await http.get(f"{url}/run-2/gates")),
        ("getTrend", 200, await http.get(f"{root}/projects/described/trend")),
        ("listProjects", 200, await http.get(f"{root}/projects")),
        ("getQualityGates", 200, await http.get(f"{root}/gates")),
    ]
    for operation, status, answer in asked:
        assert answer.status_code == status, (operation, answer.text)
        check(answer.json(), schema_of(document, operation, str(status)))
    described = {one["operationId"] for path in document["paths"].values() for one in path.values()}
    assert described == {operation for operation, _, _ in asked}


@pytest.mark.parametrize(
    "wrong",
    [{"name": 3}, {"id": "a/b"}, {"bogus": 1}, {"results": [{"name": "a", "status": "ok"}]}],
)
async def test_what_it_forbids_is_refused(
    wrong: dict[str, Any],
    document: dict[str, Any],
    quality: QualityServer,
    http: httpx.AsyncClient,
):
    body = suite("x", **wrong)
    with pytest.raises(jsonschema.ValidationError):
        check(body, schema_of(document, "submitTestSuite", None))
    answer = await http.post(suites_url(quality.url, "forbidden"), json=body)
    assert answer.status_code == 400


async def test_each_of_its_paths_is_served(
    document: dict[str, Any], quality: QualityServer, http: httpx.AsyncClient
):
    for path, operations in document["paths"].items():
        if "get" in operations:
            address = quality.url + re.sub(r"{\w+}", "some", path)
            assert (await http.get(address)).json().get("error", {}).get("code") != "not_found"


def test_every_field_is_explained(document: dict[str, Any]):
    schemas = document["components"]["schemas"]
    silent = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        for field, about in schema.get("properties", {}).items()
        if name != "Gate" and "description" not in about and "$ref" not in about
    ]
    assert silent == []
    assert "Traceback" not in json.dumps(document)
