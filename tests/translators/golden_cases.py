"""Golden cases: a request and the bytes of its answer, and what a dialect makes of both.

A case is a folder with `request.json` (OpenAI's; its `model` is the target's) and `native.sse`
or `native.json`; the rest is written by `UPDATE_GOLDEN=1` and reviewed as a diff. A case whose
answer is an error has `error.json` in place of the answer.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.golden_files import GOLDEN, compare_json, compare_text
from tests.translators.chat_requests import chat_of, context_for
from tests.translators.streams import Json, Streams, accumulate, events_of
from translators.errors import ProviderError
from translators.protocol import HttpRequest, ResponseContext, Translated

__all__ = ["Case", "GoldenCases"]


@dataclass(frozen=True)
class Case:
    """One case: its folder, and what is in there."""

    folder: Path

    @property
    def request(self) -> Json:
        return json.loads((self.folder / "request.json").read_text())

    @property
    def context(self) -> ResponseContext:
        return context_for(chat_of(self.request))

    @property
    def is_stream(self) -> bool:
        return (self.folder / "native.sse").exists()

    @property
    def is_error(self) -> bool:
        return (self.folder / "error.json").exists()

    @property
    def native(self) -> bytes:
        """The answer as it came."""
        return (self.folder / ("native.sse" if self.is_stream else "native.json")).read_bytes()


class GoldenCases:
    """The cases of one dialect, as parameters of its tests, and what holds for each.

    Attributes:
        all: Every case.
        finished: Those with a stream that ends as it should.
        known_to_openai: Those of them that the OpenAI SDK can read: the accumulator of openai
            3.54 fails on custom calls, OpenAI's own included.
    """

    def __init__(self, dialect: str, streams: Streams) -> None:
        self._streams = streams
        cases = [Case(path.parent) for path in sorted((GOLDEN / dialect).glob("*/request.json"))]
        finished = [case for case in cases if case.is_stream and not case.is_error]
        self.all = _parameters(cases)
        self.finished = _parameters(finished)
        self.known_to_openai = _parameters(
            [case for case in finished if case.folder.name != "custom_tool"]
        )

    def check_request(self, case: Case) -> Translated[HttpRequest]:
        """Check the native request and its report; return both."""
        request = case.request
        translated = self._streams.translator.request(chat_of(request), model=request["model"])
        native = translated.request
        compare_json(
            case.folder / "native_request.json",
            {
                "path": native.path,
                "headers": dict(native.headers),
                "body": native.body,
                "ignored": list(translated.report.ignored),
                "emulated": list(translated.report.emulated),
            },
        )
        return translated

    def check_answer(self, case: Case) -> None:
        """Check the chunks or the whole answer, or the error that it is."""
        try:
            if case.is_stream:
                chunks, _ = self._streams.run(events_of(case.native), case.context)
                lines = b"".join(b"data: " + chunk.data + b"\n\n" for chunk in chunks)
                compare_text(case.folder / "stream.sse", lines.decode())
            else:
                completion = self._streams.translator.response(case.native, case.context)
                compare_json(case.folder / "response.json", json.loads(completion.data))
        except ProviderError as error:
            told = error.to_wire()["error"]
            found = {"kind": error.kind, "retry_after": error.retry_after, **told}
            compare_json(case.folder / "error.json", found)
        else:
            assert not case.is_error

    def check_openai_sdk(self, case: Case) -> None:
        """Check that the OpenAI SDK accepts the stream and finds its usage."""
        events = events_of(case.native)
        self._streams.check_openai_sdk(events, case.context)
        assert accumulate(self._streams.run(events, case.context)[0]).usage is not None


def _parameters(cases: list[Case]) -> list[Any]:
    return [pytest.param(case, id=case.folder.name) for case in cases]
