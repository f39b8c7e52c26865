"""The recorded exchanges with real services, which lie beside the checkout, no part of it."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

__all__ = [
    "Recording",
    "parameters_of",
    "recorded_folder",
    "recorded_openai_chats",
    "recorded_openai_requests",
    "recordings",
    "skip_without_recordings",
]


@dataclass(frozen=True)
class Recording:
    """One exchange.

    Attributes:
        name: The file's name without its suffix.
        path: That of the request's URL.
        request: The body of the request, or None where it was not recorded.
        headers: The answer's, with names in lower case.
        body: The bytes of the answer.
        features: What the exchange is an example of.
    """

    name: str
    path: str
    request: Any
    status: int
    headers: dict[str, str]
    stream: bool
    body: bytes
    features: frozenset[str]


AnyRecording = TypeVar("AnyRecording", bound=Recording)


def recorded_folder() -> Path:
    """Return where the recordings should be."""
    named = os.environ.get("EP_RECORDED_TRAFFIC")
    beside = Path(__file__).resolve().parents[2] / "shared" / "recorded-traffic"
    return Path(named) if named else beside


def recordings(pattern: str, keep: Callable[[Recording], bool] = lambda _: True) -> list[Recording]:
    """Return the exchanges in the files that match, such as `gemini/gen-*.json`, in order."""
    found = (_read(path) for path in sorted(recorded_folder().glob(pattern)))
    return [recording for recording in found if keep(recording)]


def parameters_of(found: list[AnyRecording]) -> list[Any]:
    """Return exchanges as parameters of a test; one that skips it if there are none."""
    if not found:
        return [pytest.param(None, id="absent", marks=pytest.mark.skip(reason=_absent()))]
    return [pytest.param(recording, id=recording.name) for recording in found]


def recorded_openai_chats(keep: Callable[[Recording], bool] = lambda _: True) -> list[Any]:
    """Return the exchanges with OpenAI's Chat Completions as parameters of a test."""
    return parameters_of(recordings("openai/chat-*.json", keep))


def recorded_openai_requests() -> list[Any]:
    """Return the bodies of requests to Chat Completions, where they were recorded, as parameters.

    A body may be anything that somebody sent, refused ones included.
    """
    found = recordings("openai/chat-*.json", lambda recording: recording.request is not None)
    if not found:
        return parameters_of(found)
    return [pytest.param(recording.request, id=recording.name) for recording in found]


def skip_without_recordings() -> None:
    """Skip a test that counts the recordings, where there are none."""
    if not recorded_folder().is_dir():
        pytest.skip(_absent())


def _absent() -> str:
    return f"no recorded traffic at {recorded_folder()} (EP_RECORDED_TRAFFIC)"


def _read(path: Path) -> Recording:
    found = json.loads(path.read_bytes())
    asked, answer = found["request"], found["response"]
    text = answer["text"] if "text" in answer else json.dumps(answer["body"])
    request = asked.get("body")
    return Recording(
        name=path.stem,
        path=asked["path"],
        request=request if isinstance(request, dict) else None,
        status=answer["status"],
        headers={name.lower(): value for name, value in answer["headers"].items()},
        stream=bool(answer.get("stream")),
        body=text.encode(),
        features=frozenset(found["features"]),
    )
