"""The golden streams of the Messages API, passed on by the CLI: the client sees no difference."""

import pytest
from agent_api import STREAMS

from tests.translators.golden_cases import Case, GoldenCases
from tests.translators.streams import events_of
from translators.sse import ServerSentEvent

CASES = GoldenCases("anthropic_messages", STREAMS)
STREAMED = [case for case in CASES.all if case.values[0].is_stream]
UNKNOWN = ServerSentEvent(b"aurora", b'{"type":"aurora","delta":[1]}')


def test_there_are_cases():
    assert len(STREAMED) >= 12


@pytest.mark.parametrize("case", STREAMED)
def test_answer(case: Case):
    CASES.check_answer(case)


@pytest.mark.parametrize("case", CASES.known_to_openai)
def test_openai_sdk_accepts_the_stream(case: Case):
    CASES.check_openai_sdk(case)


@pytest.mark.parametrize("case", CASES.finished)
def test_unknown_event_anywhere_changes_nothing(case: Case):
    STREAMS.check_ignored(UNKNOWN, events_of(case.native), context=case.context)
