"""JUnit's XML, as pytest, Gradle, Jest and most others write it, to a test suite.

There is no standard. What is read here all of them share: `testcase` elements with `name`,
`classname` and `time` in seconds, in which `failure`, `error` or `skipped` stands, inside of
`testsuite` elements.
"""

import hashlib
from datetime import datetime
from typing import Any, Final
from xml.etree import ElementTree

from proxy.quality.errors import InvalidSuite
from proxy.quality.records import MAX_MESSAGE, Status, one_line, shortened

__all__ = ["suite_from_junit"]

_OUTCOMES: Final[dict[str, Status]] = {"failure": "failed", "error": "error", "skipped": "skipped"}


class _NoDocumentType(ElementTree.TreeBuilder):
    """Builds the tree of a document without entities: some of those grow without bound."""

    def doctype(self, name: str, pubid: str, system: str) -> None:
        raise InvalidSuite("The file has a document type, which no JUnit report has.")


def suite_from_junit(data: bytes) -> dict[str, Any]:
    """Return the fields of a suite, for `validated_suite`.

    Its id is made of the content: the same report submitted again is the same suite.

    Args:
        data: The XML.

    Raises:
        InvalidSuite: It is not XML, or no JUnit report.
    """
    try:
        parser = ElementTree.XMLParser(target=_NoDocumentType())  # noqa: S314
        parser.feed(data)
        root = parser.close()
    except ElementTree.ParseError as error:
        raise InvalidSuite(f"The file is not XML: {error}.") from None
    if root.tag not in ("testsuites", "testsuite"):
        raise InvalidSuite(
            f"The file is no JUnit report: it begins with `<{root.tag[:50]}>`, not with "
            "`<testsuites>` or `<testsuite>`."
        )
    suites = list(root.iter("testsuite"))
    names = [element.get("name", "") for element in (root, *suites)]
    facts = [
        (one_line(found.get("name", ""))[:200], one_line(found.get("value") or found.text or ""))
        for suite in suites
        for found in suite.findall("./properties/property")
    ]
    return {
        "id": f"junit-{hashlib.sha256(data).hexdigest()[:32]}",
        "name": one_line(next((name for name in names if name.strip()), "junit")),
        "started_at": _began(suites),
        "environment": dict(facts),
        "results": [_result(case) for case in root.iter("testcase")],
    }


def _began(suites: "list[ElementTree.Element]") -> str | None:
    """Return the first time stamp that says its offset; others could be any time of the day."""
    found: list[datetime] = []
    for suite in suites:
        try:
            moment = datetime.fromisoformat(suite.get("timestamp", ""))
        except ValueError:
            continue
        if moment.utcoffset() is not None:
            found.append(moment)
    return min(found).isoformat() if found else None


def _result(case: ElementTree.Element) -> dict[str, Any]:
    parts = [part for part in (case.get("classname"), case.get("name")) if part]
    name = one_line("::".join(parts))
    status: Status = "passed"
    message = None
    # The worst counts: pytest writes `failure` and `error` for a test that failed and then broke.
    for tag in ("skipped", "failure", "error"):
        found = case.find(tag)
        if found is not None:
            status = _OUTCOMES[tag]
            said = found.get("message") or (found.text or "").strip()
            message = shortened(said, MAX_MESSAGE) or None
    return {
        "name": name,
        "status": status,
        "duration_ms": _milliseconds(case.get("time", "0"), name),
        "message": message,
    }


def _milliseconds(seconds: str, name: str) -> float:
    try:
        return float(seconds.replace(",", "")) * 1000
    except ValueError:
        raise InvalidSuite(
            f"The time of `{name[:200]}` is `{seconds[:50]}`: it must be a number of seconds."
        ) from None
