"""What goes back of a streamed answer that paused: the blocks as they were."""

from typing import Any

import pytest
from messages_api import TRANSLATOR, sse_of
from native_events import closed, finished, grown, opened, start, text, tool

from tests.translators.chat_requests import user
from tests.translators.steps import steps_of
from tests.translators.streams import CONTEXT, Json, events_of
from translators.protocol import HttpRequest

REQUEST = HttpRequest(
    "/v1/messages",
    {"messages": [user("x")], "tools": [{"type": "web_search_20260318", "name": "web_search"}]},
)


def paused(*parts: list[Json]) -> list[Json]:
    """Return the blocks that the next request sends back."""
    stream = TRANSLATOR.stream(CONTEXT, REQUEST)
    blocks = [event for part in parts for event in part]
    for event in events_of(sse_of([start(), *blocks, *finished("pause_turn")])):
        stream.feed(event)
    stream.end()
    return [] if stream.follow_up is None else stream.follow_up.body["messages"][-1]["content"]


def block(*grows: Json, **fields: Any) -> list[Json]:
    return [opened(0, **fields), *(grown(0, **delta) for delta in grows), closed(0)]


@pytest.mark.parametrize("nothing", [{"text": None}, {}, {"text": "", "citations": None}])
def test_text_that_begins_with_nothing(nothing: Json):
    more = block({"type": "text_delta", "text": "So"}, type="text", **nothing)
    (found,) = paused(more)
    assert found["text"] == "So"


@pytest.mark.parametrize(
    "odd", [{"type": -1, "thinking": []}, {"type": "aurora", "text": 7, "citations": 1.5}]
)
def test_block_that_is_not_known_goes_back_as_it_was(odd: Json):
    deltas: list[Json] = [
        {"type": "aurora_delta", "text": [1]},
        {"type": "thinking_delta", "thinking": None},
        {"type": "text_delta", "text": None},
        {"type": "citations_delta", "citation": None},
    ]
    assert paused(block(*deltas, **odd), text(1, "x")) == [odd, {"type": "text", "text": "x"}]


def test_row_06_blocks_that_share_an_index_all_go_back():
    found = paused(text(0, "one"), tool(0, "toolu_a", "f", '{"a":', "1}"), text(0, "two"))
    assert [block.get("text") or block["input"] for block in found] == ["one", {"a": 1}, "two"]


def test_every_part_is_there_and_costs_the_same():
    cited = [{"type": "web_search_result_location", "url": f"https://a/{n}"} for n in range(500)]

    def work(count: int) -> int:
        deltas = [{"type": "citations_delta", "citation": entry} for entry in cited[:count]]
        deltas += [{"type": "text_delta", "text": "w"} for _ in range(count)]
        (found,) = paused(block(*deltas, type="text", text="", citations=[]))
        assert (found["text"], found["citations"]) == ("w" * count, cited[:count])
        return steps_of(lambda: paused(block(*deltas, type="text", text="", citations=[])))

    few, many = work(100), work(400)
    assert many < 5 * few


def test_text_of_a_paused_answer_is_not_copied_at_each_delta():
    """16 MB in 40 000 pieces: copied each time it would be 320 GB."""
    deltas = [{"type": "text_delta", "text": "x" * 400}] * 40_000
    (found,) = paused(block(*deltas, type="text", text=""))
    assert len(found["text"]) == 16_000_000
