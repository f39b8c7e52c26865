"""A Quality Fabric behind HTTP, for its clients."""

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from proxy import __version__
from proxy.quality.answers import (
    ErrorAnswer,
    History,
    QualityGateReport,
    Submission,
    SuiteRecord,
    Trend,
)
from proxy.quality.errors import QualityUnreachable, error_of
from proxy.quality.fabric import LISTED
from proxy.quality.operations import PREFIX
from proxy.quality.records import TestSuite

__all__ = ["RemoteFabric"]

SECONDS = 60.0
"""How long an answer may take; the server's own patience with its database is shorter."""

AnswerT = TypeVar("AnswerT", bound=BaseModel)


class RemoteFabric:
    """The server at an address.

    Args:
        url: Of the server, with or without `/quality`.
        key: One of its client keys; None: none is sent.
    """

    def __init__(self, url: str, key: str | None) -> None:
        self._url = url.rstrip("/").removesuffix(PREFIX) + PREFIX
        self._headers = {"user-agent": f"execution-platform/{__version__}"}
        if key is not None:
            self._headers["authorization"] = f"Bearer {key}"

    @property
    def place(self) -> str:
        """The address."""
        return self._url

    async def submit(self, project: str, suite: TestSuite) -> Submission:
        """Keep a checked suite."""
        path = f"/projects/{quote(project, safe='')}/suites"
        return await self._ask(Submission, "POST", path, body=suite.canonical())

    async def check(self, project: str, suite_id: str) -> QualityGateReport:
        """Return the verdict of each gate on a suite."""
        return await self._ask(QualityGateReport, "GET", _suite(project, suite_id) + "/gates")

    async def suite(self, project: str, suite_id: str) -> SuiteRecord:
        """Return a suite as it was submitted."""
        return await self._ask(SuiteRecord, "GET", _suite(project, suite_id))

    async def history(
        self,
        project: str,
        *,
        limit: int = LISTED,
        before: int | None = None,
        name: str | None = None,
    ) -> History:
        """Return suites of a project, the newest first."""
        query = {"limit": limit, "before": before, "name": name}
        path = f"/projects/{quote(project, safe='')}/suites"
        return await self._ask(History, "GET", path, query=query)

    async def trend(self, project: str, *, last: int = LISTED, name: str | None = None) -> Trend:
        """Return where the metrics of a project's last suites are going."""
        query = {"last": last, "name": name}
        path = f"/projects/{quote(project, safe='')}/trend"
        return await self._ask(Trend, "GET", path, query=query)

    async def _ask(
        self,
        answer: type[AnswerT],
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int | None] | None = None,
        body: bytes | None = None,
    ) -> AnswerT:
        import httpx  # noqa: PLC0415  0.1 s that the embedded form and the server do without

        url = self._url + path
        headers = {**self._headers, **({"content-type": "application/json"} if body else {})}
        given = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            async with httpx.AsyncClient(timeout=httpx.Timeout(SECONDS, connect=10.0)) as client:
                response = await client.request(
                    method, url, params=given, content=body, headers=headers
                )
        except httpx.HTTPError as error:
            raise QualityUnreachable(
                f"{url} gave no answer: {error or type(error).__name__}. Is the server running "
                "there (`execution-platform quality serve`)? The same suite can be submitted again."
            ) from error
        return _read(answer, url, response.status_code, response.content)


def _suite(project: str, suite_id: str) -> str:
    return f"/projects/{quote(project, safe='')}/suites/{quote(suite_id, safe='')}"


def _read(answer: type[AnswerT], url: str, status: int, body: bytes) -> AnswerT:
    stranger = QualityUnreachable(
        f"{url} answered with status {status} and what no Quality Fabric says. Is the address "
        "right, and is Quality Fabric switched on there (EP_QUALITY=1)?"
    )
    try:
        if status in (200, 201):
            return answer.model_validate_json(body)
        said = ErrorAnswer.model_validate_json(body).error
    except ValidationError as error:
        raise stranger from error
    if said.code == "not_found":
        # Of the address, not of a suite: a proxy that does not serve it says so in this shape.
        raise stranger
    raise error_of(said.message, kind=said.type, param=said.param, code=said.code, status=status)
