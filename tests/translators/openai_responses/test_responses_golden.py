"""Golden cases of this dialect; `tests.translators.golden_cases` says what a case is."""

import json

import pytest
from responses_api import STREAMS, run, whole
from responses_types import problems_of

from tests.translators.golden_cases import Case, GoldenCases
from tests.translators.streams import events_of, folded
from translators.sse import ServerSentEvent

CASES = GoldenCases("openai_responses", STREAMS)
UNKNOWN = ServerSentEvent(b"response.aurora", b'{"type":"response.aurora","delta":[1]}')


def test_there_are_cases():
    assert len(CASES.all) >= 30


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
    answer = json.loads(events[-1].data)["response"]
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
