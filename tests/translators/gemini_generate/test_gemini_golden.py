"""Golden cases of this dialect; `tests.translators.golden_cases` says what a case is."""

import json

import pytest
from gemini_api import STREAMS, joined, run, whole
from gemini_types import problems_of

from tests.translators.golden_cases import Case, GoldenCases
from tests.translators.streams import events_of, folded
from translators.sse import ServerSentEvent

CASES = GoldenCases("gemini_generate", STREAMS)
UNKNOWN = ServerSentEvent(b"aurora", b'{"aurora":[1],"candidates":null}')


def test_there_are_cases():
    assert len(CASES.all) >= 28


@pytest.mark.parametrize("case", CASES.all)
def test_request(case: Case):
    translated = CASES.check_request(case)
    assert problems_of(translated.request.body) == []


@pytest.mark.parametrize("case", CASES.all)
def test_answer(case: Case):
    CASES.check_answer(case)


@pytest.mark.parametrize("case", CASES.finished)
def test_stream_says_what_the_whole_answer_says(case: Case):
    events, context = events_of(case.native), case.context
    answer = joined([json.loads(event.data) for event in events])
    assert folded(run(events, context)[0]) == whole(answer, context)


@pytest.mark.parametrize("case", CASES.known_to_openai)
def test_openai_sdk_accepts_the_stream(case: Case):
    CASES.check_openai_sdk(case)


@pytest.mark.parametrize("case", CASES.finished)
def test_cutting_the_bytes_anywhere_changes_nothing(case: Case):
    STREAMS.check_every_cut(case.native, case.context)


@pytest.mark.parametrize("case", CASES.finished)
def test_unknown_event_anywhere_changes_nothing(case: Case):
    STREAMS.check_ignored(UNKNOWN, events_of(case.native), context=case.context)
