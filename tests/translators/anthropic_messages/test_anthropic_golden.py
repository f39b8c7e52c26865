"""Golden cases: a request and the bytes of its answer, and what we make of both.

A case is a folder with `request.json` (OpenAI's; its `model` is the target's) and `native.sse`
or `native.json`; the rest is written by `UPDATE_GOLDEN=1` and reviewed as a diff. A case whose
answer is an error has `error.json` in place of the answer.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from messages_api import (
    GOLDEN,
    TRANSLATOR,
    accumulate,
    chat_of,
    context_for,
    events_of,
    run,
    sdk_message,
)

from translators.errors import ProviderError
from translators.fold import fold
from translators.protocol import ResponseContext
from translators.sse import ServerSentEvent, SSEDecoder

CASES = sorted(path.parent for path in GOLDEN.glob("*/request.json"))
STREAMS = [case for case in CASES if (case / "native.sse").exists()]
FINISHED = [case for case in STREAMS if not (case / "error.json").exists()]
KNOWN_TO_OPENAI = [case for case in FINISHED if case.name != "custom_tool"]
"""The accumulator of openai 3.54 fails on custom calls, OpenAI's own included."""
UPDATE = bool(os.environ.get("UPDATE_GOLDEN"))


def name_of(case: Path) -> str:
    return case.name


def test_there_are_cases():
    assert len(CASES) >= 12


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_request(case: Path):
    request = json.loads((case / "request.json").read_text())
    translated = TRANSLATOR.request(chat_of(request), model=request["model"])
    native = translated.request
    _compare(
        case / "native_request.json",
        {
            "path": native.path,
            "headers": dict(native.headers),
            "body": native.body,
            "ignored": list(translated.report.ignored),
            "emulated": list(translated.report.emulated),
        },
    )


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_answer(case: Path):
    context = _context(case)
    try:
        if case in STREAMS:
            chunks, _ = run(events_of((case / "native.sse").read_bytes()), context)
            lines = b"".join(b"data: " + chunk.data + b"\n\n" for chunk in chunks)
            _compare_text(case / "stream.sse", lines.decode())
        else:
            completion = TRANSLATOR.response((case / "native.json").read_bytes(), context)
            _compare(case / "response.json", json.loads(completion.data))
    except ProviderError as error:
        _compare(case / "error.json", {"kind": error.kind, **error.to_wire()["error"]})
    else:
        assert not (case / "error.json").exists()


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # the SDK, on unknown blocks
@pytest.mark.parametrize("case", FINISHED, ids=name_of)
def test_stream_says_what_the_whole_answer_says(case: Path):
    native, context = (case / "native.sse").read_bytes(), _context(case)
    message = sdk_message(native, stream=True).to_json(warnings=False)
    whole = json.loads(TRANSLATOR.response(message.encode(), context).data)
    chunks, _ = run(events_of(native), context)
    streamed = json.loads(fold(chunk.data for chunk in chunks))
    assert _parsed_arguments(streamed) == _parsed_arguments(whole)


@pytest.mark.parametrize("case", KNOWN_TO_OPENAI, ids=name_of)
def test_openai_sdk_accepts_the_stream(case: Path):
    context = _context(case)
    chunks, outcome = run(events_of((case / "native.sse").read_bytes()), context)
    snapshot = accumulate(chunks)
    folded = json.loads(fold(chunk.data for chunk in chunks))["choices"][0]
    message = snapshot.choices[0].message
    assert snapshot.choices[0].finish_reason == outcome.finish_reason
    assert message.role == "assistant"
    assert message.content == (folded["message"]["content"] or "")
    assert message.refusal == folded["message"]["refusal"]
    assert snapshot.usage is not None


@pytest.mark.parametrize("case", FINISHED, ids=name_of)
def test_cutting_the_bytes_anywhere_changes_nothing(case: Path):
    native, context = (case / "native.sse").read_bytes(), _context(case)
    expected, _ = run(events_of(native), context)
    for place in range(len(native)):
        decoder = SSEDecoder()
        events = decoder.feed(native[:place]) + decoder.feed(native[place:]) + decoder.end()
        assert events == events_of(native)
    assert run(events_of(native), context)[0] == expected


@pytest.mark.parametrize("case", FINISHED, ids=name_of)
def test_unknown_event_anywhere_changes_nothing(case: Path):
    context = _context(case)
    events = events_of((case / "native.sse").read_bytes())
    expected, _ = run(events, context)
    unknown = ServerSentEvent(b"aurora", b'{"type":"aurora","delta":[1]}')
    for place in range(len(events) + 1):
        assert run([*events[:place], unknown, *events[place:]], context)[0] == expected


def _context(case: Path) -> ResponseContext:
    return context_for(chat_of(json.loads((case / "request.json").read_text())))


def _parsed_arguments(answer: Any) -> Any:
    message = answer["choices"][0]["message"]
    for call in [*(message.get("tool_calls") or ()), message]:
        function = call.get("function") or call.get("function_call")
        if function and answer["choices"][0]["finish_reason"] != "length":
            function["arguments"] = json.loads(function["arguments"])
        elif function:
            del function["arguments"]  # The SDK completes what the limit cut off.
    return answer


def _compare(path: Path, value: Any) -> None:
    _compare_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _compare_text(path: Path, text: str) -> None:
    if UPDATE:
        path.write_text(text, newline="")
    assert text == path.read_text(), f"{path} differs; UPDATE_GOLDEN=1 rewrites it"
