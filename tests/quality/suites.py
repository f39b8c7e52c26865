"""Suites to submit, and the addresses to submit them to."""

from typing import Any

__all__ = ["result", "suite", "suites_url"]


def result(status: str = "passed", milliseconds: float = 10.0, name: str = "a test") -> Any:
    return {"name": name, "status": status, "duration_ms": milliseconds, "message": None}


def suite(suite_id: str, *results: Any, name: str = "unit", **more: Any) -> dict[str, Any]:
    """Return the body of a submission, every field given."""
    return {
        "id": suite_id,
        "name": name,
        "started_at": "2026-11-30T12:00:00Z",
        "ended_at": "2026-11-30T12:00:01Z",
        "environment": {"python": "3.11"},
        "results": list(results or [result()]),
        **more,
    }


def suites_url(url: str, project: str = "shop") -> str:
    return f"{url}/quality/projects/{project}/suites"
