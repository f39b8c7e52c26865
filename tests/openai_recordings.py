"""The recorded OpenAI chat exchanges, which lie beside the checkout and are no part of it."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

__all__ = ["RECORDED", "Recording", "recorded_folder", "select"]


@dataclass(frozen=True)
class Recording:
    """One exchange.

    Attributes:
        request: The body of the request, or None where it was not recorded.
        body: The bytes of the answer.
    """

    name: str
    request: Any
    status: int
    headers: dict[str, str]
    stream: bool
    body: bytes
    features: frozenset[str]


def recorded_folder() -> Path:
    """Return where the recordings should be."""
    named = os.environ.get("EP_RECORDED_TRAFFIC")
    beside = Path(__file__).resolve().parents[2] / "shared" / "recorded-traffic"
    return Path(named) if named else beside


def _load(path: Path) -> Recording | None:
    found = json.loads(path.read_text())
    if found["endpoint"] != "chat.completions":
        return None
    answer = found["response"]
    text = answer["text"] if "text" in answer else json.dumps(answer["body"])
    request = found["request"].get("body")
    return Recording(
        name=path.stem,
        request=request if isinstance(request, dict) else None,
        status=answer["status"],
        headers={name.lower(): value for name, value in answer["headers"].items()},
        stream=bool(answer.get("stream")),
        body=text.encode(),
        features=frozenset(found["features"]),
    )


def _all() -> list[Any]:
    folder = recorded_folder() / "openai"
    found = [_load(path) for path in sorted(folder.glob("*.json"))]
    return [pytest.param(recording, id=recording.name) for recording in found if recording]


RECORDED = _all()


def select(**wanted: Any) -> list[Any]:
    """Return the exchanges with these attributes, as parameters; one that skips if none."""
    found = [
        parameter
        for parameter in RECORDED
        if all(getattr(parameter.values[0], name) == value for name, value in wanted.items())
    ]
    reason = f"no recorded traffic at {recorded_folder()} (EP_RECORDED_TRAFFIC)"
    return found or [pytest.param(None, id="absent", marks=pytest.mark.skip(reason=reason))]
