"""The REST interface as data: routes and the OpenAPI document are both made of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from proxy.quality.answers import (
    GatesInForce,
    History,
    Projects,
    QualityGateReport,
    Submission,
    SuiteRecord,
    Trend,
)
from proxy.quality.fabric import LISTED, MAX_LISTED, Fabric
from proxy.quality.records import MAX_NAME, Record, TestSuite

__all__ = ["OPERATIONS", "PREFIX", "HistoryQuery", "NoQuery", "Operation", "Query", "TrendQuery"]

PREFIX: Final = "/quality"


class Query(Record):
    """Base of the query strings, whose values come as text."""

    model_config = {"strict": False}


class NoQuery(Query):
    """No parameters."""


NameFilter = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


class HistoryQuery(Query):
    """Which suites."""

    limit: Annotated[int, Field(ge=1, le=MAX_LISTED)] = LISTED
    """The most to return."""

    before: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """Only suites of a smaller position: `next_before` of the answer before."""

    name: NameFilter | None = None
    """Only suites of this name."""


class TrendQuery(Query):
    """Which suites."""

    last: Annotated[int, Field(ge=1, le=MAX_LISTED)] = LISTED
    """How many, counted from the newest."""

    name: NameFilter | None = None
    """Only suites of this name."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path.

    Attributes:
        id: For clients made of the OpenAPI document.
        method: `GET` or `POST`.
        path: Below `PREFIX`.
        summary: One line.
        do: From the fabric, the parameters in the path, the query, and the body, to the answer.
        answer: What `do` returns.
        query: The parameters behind `?`.
        body: What is sent.
        refusals: Statuses of refusals beside those that every operation has.
        statuses: Of answers.
        status: From an answer to its status, one of those.
    """

    id: str
    method: str
    path: str
    summary: str
    do: Callable[[Fabric, Mapping[str, str], Any, bytes], BaseModel]
    answer: type[BaseModel]
    query: type[Query] = NoQuery
    body: type[BaseModel] | None = None
    refusals: tuple[int, ...] = ()
    statuses: tuple[int, ...] = (200,)
    status: Callable[[Any], int] = lambda _: 200


def _submit(fabric: Fabric, path: Mapping[str, str], _query: Query, body: bytes) -> Submission:
    return fabric.submit_json(path["project"], body)


def _history(fabric: Fabric, path: Mapping[str, str], query: HistoryQuery, _: bytes) -> History:
    return fabric.history(path["project"], limit=query.limit, before=query.before, name=query.name)


def _trend(fabric: Fabric, path: Mapping[str, str], query: TrendQuery, _: bytes) -> Trend:
    return fabric.trend(path["project"], last=query.last, name=query.name)


_SUITES: Final = "/projects/{project}/suites"

OPERATIONS: Final = (
    Operation(
        "submitTestSuite",
        "POST",
        _SUITES,
        "Keep a test suite; the same one again is no error.",
        _submit,
        Submission,
        body=TestSuite,
        refusals=(408, 409, 413, 415),
        statuses=(200, 201),
        status=lambda answer: 201 if answer.created else 200,
    ),
    Operation(
        "listTestSuites",
        "GET",
        _SUITES,
        "The suites of a project, the newest first.",
        _history,
        History,
        query=HistoryQuery,
    ),
    Operation(
        "getTestSuite",
        "GET",
        _SUITES + "/{suite_id}",
        "A suite as it was submitted.",
        lambda fabric, path, _query, _body: fabric.suite(path["project"], path["suite_id"]),
        SuiteRecord,
        refusals=(404,),
    ),
    Operation(
        "checkQualityGates",
        "GET",
        _SUITES + "/{suite_id}/gates",
        "The verdict of each quality gate on a suite.",
        lambda fabric, path, _query, _body: fabric.check(path["project"], path["suite_id"]),
        QualityGateReport,
        refusals=(404,),
    ),
    Operation(
        "getTrend",
        "GET",
        "/projects/{project}/trend",
        "Where the metrics of the last suites are going.",
        _trend,
        Trend,
        query=TrendQuery,
    ),
    Operation(
        "listProjects",
        "GET",
        "/projects",
        "The projects that have suites.",
        lambda fabric, _path, _query, _body: fabric.projects(),
        Projects,
    ),
    Operation(
        "getQualityGates",
        "GET",
        "/gates",
        "The gates that are in force.",
        lambda fabric, _path, _query, _body: fabric.gates(),
        GatesInForce,
    ),
)
