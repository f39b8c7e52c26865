"""Golden cases of this dialect; `tests.translators.golden_cases` says what a case is."""

import json
from typing import Any

import pytest
from messages_api import STREAMS, TRANSLATOR, run, sdk_message

from tests.translators.golden_cases import Case, GoldenCases
from tests.translators.streams import events_of, folded
from translators.sse import ServerSentEvent

CASES = GoldenCases("anthropic_messages", STREAMS)
UNKNOWN = ServerSentEvent(b"aurora", b'{"type":"aurora","delta":[1]}')


def test_there_are_cases():
    assert len(CASES.all) >= 12


@pytest.mark.parametrize("case", CASES.all)
def test_request(case: Case):
    CASES.check_request(case)


@pytest.mark.parametrize("case", CASES.all)
def test_answer(case: Case):
    CASES.check_answer(case)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # the SDK, on unknown blocks
@pytest.mark.parametrize("case", CASES.finished)
def test_stream_says_what_the_whole_answer_says(case: Case):
    message = sdk_message(case.native, stream=True).to_json(warnings=False)
    whole = json.loads(TRANSLATOR.response(message.encode(), case.context).data)
    streamed = folded(run(events_of(case.native), case.context)[0])
    assert _parsed_arguments(streamed) == _parsed_arguments(whole)


@pytest.mark.parametrize("case", CASES.known_to_openai)
def test_openai_sdk_accepts_the_stream(case: Case):
    CASES.check_openai_sdk(case)


@pytest.mark.parametrize("case", CASES.finished)
def test_cutting_the_bytes_anywhere_changes_nothing(case: Case):
    STREAMS.check_every_cut(case.native, case.context)


@pytest.mark.parametrize("case", CASES.finished)
def test_unknown_event_anywhere_changes_nothing(case: Case):
    STREAMS.check_ignored(UNKNOWN, events_of(case.native), context=case.context)


def _parsed_arguments(answer: Any) -> Any:
    message = answer["choices"][0]["message"]
    for call in [*(message.get("tool_calls") or ()), message]:
        function = call.get("function") or call.get("function_call")
        if function and answer["choices"][0]["finish_reason"] != "length":
            function["arguments"] = json.loads(function["arguments"])
        elif function:
            del function["arguments"]  # The SDK completes what the limit cut off.
    return answer
