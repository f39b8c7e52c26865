"""A stream passes byte for byte, and one that broke never looks finished."""

import json

import pytest
from openai_wire import DONE, QUIET, TRANSLATOR, USAGE, chunk, event, run, usage_chunk

from tests.translators.streams import CONTEXT, Json, accumulate_data
from translators.errors import ProviderError, StreamTruncated
from translators.fold import fold
from translators.protocol import ResponseContext
from translators.sse import ServerSentEvent
from translators.wire.response import Usage

ROLE = chunk({"role": "assistant", "content": ""})
HELLO = [ROLE, chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk(reason="stop")]


def texts(chunks: list[Json]) -> list[ServerSentEvent]:
    return [event(c) for c in chunks]


def failure(*events: ServerSentEvent) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        run(events)
    return caught.value


def test_bytes_pass_as_they_are():
    data = b'{ "id":"x" , "odd" : [1e3],"choices":[ {"index":0,"delta":{"content":"\\u00e9"}} ] }'
    end = event(chunk(reason="stop"))
    chunks, outcome = run([ServerSentEvent(b"", data), end, DONE])
    assert [c.data for c in chunks] == [data, end.data]
    assert outcome.id == "chatcmpl-9"


def test_row_62_the_outcome_is_what_the_stream_said():
    _, outcome = run([*texts(HELLO), event(usage_chunk()), DONE])
    assert (outcome.id, outcome.model, outcome.finish_reason) == ("chatcmpl-9", "gpt-9", "stop")
    assert outcome.usage == Usage(10, 5, 15)


def test_the_role_is_no_payload_and_what_follows_is():
    chunks, _ = run(texts([*HELLO, usage_chunk()]))
    assert [c.payload for c in chunks] == [False, True, True, True, False]


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "x"},
        {"content": [{"type": "text", "text": "x"}]},
        {"refusal": "no"},
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]},
        {"function_call": {"name": "f"}},
        {"audio": {"id": "a"}},
        {"images": [{"type": "image_url"}]},
    ],
)
def test_row_90_each_part_of_an_answer_is_payload_and_kept(delta: Json):
    chunks, _ = run(texts([ROLE, chunk(delta), chunk(reason="stop")]))
    assert [c.payload for c in chunks] == [False, True, True]
    assert json.loads(chunks[1].data)["choices"][0]["delta"] == delta


@pytest.mark.parametrize(
    "delta",
    [
        {},
        {"role": "assistant"},
        {"content": None},
        {"content": "", "refusal": None, "tool_calls": None, "function_call": None, "audio": None},
        {"tool_calls": []},
    ],
)
def test_deltas_that_say_nothing_are_no_payload(delta: Json):
    chunks, _ = run(texts([chunk(delta), chunk(reason="stop")]))
    assert [c.payload for c in chunks] == [False, True]


def test_row_90_a_streamed_refusal_is_a_refusal():
    chunks, _ = run(texts([ROLE, chunk({"refusal": "I "}), chunk({"refusal": "won't"}),
                           chunk(reason="stop")]))  # fmt: skip
    assert accumulate_data(c.data for c in chunks).choices[0].message.refusal == "I won't"


def test_row_01_row_07_row_08_tool_calls_pass_with_their_indexes():
    calls = [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 1, "id": "b", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"x":1}'}},
        {"index": 1, "function": {"arguments": "{}"}},
    ]
    chunks, outcome = run(
        texts(
            [ROLE, *(chunk({"tool_calls": [call]}) for call in calls), chunk(reason="tool_calls")]
        )
    )
    made = accumulate_data(c.data for c in chunks).choices[0].message.tool_calls or []
    arguments = [(call.id, call.type == "function" and call.function.arguments) for call in made]
    assert arguments == [("a", '{"x":1}'), ("b", "{}")]
    assert outcome.finish_reason == "tool_calls"


def test_row_28_a_call_cut_by_the_limit_keeps_its_reason():
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"ha'}}
    chunks, outcome = run(texts([chunk({"tool_calls": [call]}), chunk(reason="length")]))
    assert outcome.finish_reason == "length"
    assert json.loads(fold(c.data for c in chunks))["choices"][0]["finish_reason"] == "length"


# usage


def test_row_58_row_59_the_usage_chunk_is_one_and_the_last():
    chunks, _ = run([*texts([*HELLO, usage_chunk()]), DONE])
    shown = [json.loads(c.data).get("usage") for c in chunks]
    assert shown == [None, None, None, None, USAGE]


def test_usage_that_the_client_did_not_ask_for_is_kept_back_but_known():
    chunks, outcome = run([*texts([*HELLO, usage_chunk()]), DONE], QUIET)
    assert len(chunks) == 4
    assert outcome.usage == Usage(10, 5, 15)


@pytest.mark.parametrize("context", [CONTEXT, QUIET], ids=["asked for", "not asked for"])
def test_row_35_usage_of_an_answer_that_reasoned_is_known_to_the_trace(context: ResponseContext):
    usage = {**USAGE, "completion_tokens_details": {"reasoning_tokens": 4}}
    _, outcome = run([*texts([*HELLO, usage_chunk(usage)]), DONE], context)
    assert outcome.usage is not None
    assert outcome.usage.completion_tokens == 5
    assert outcome.usage.completion_tokens_details is not None
    assert outcome.usage.completion_tokens_details.reasoning_tokens == 4


def test_gaps_in_usage_are_filled():
    _, outcome = run(texts([*HELLO, usage_chunk({"prompt_tokens": 3, "completion_tokens": 4})]))
    assert outcome.usage == Usage(3, 4, 7)
    details = {**USAGE, "prompt_tokens_details": {"cached_tokens": 8, "new_kind": 1},
               "completion_tokens_details": None}  # fmt: skip
    _, outcome = run(texts([*HELLO, usage_chunk(details)]))
    assert outcome.usage is not None
    assert outcome.usage.prompt_tokens_details is not None
    assert outcome.usage.prompt_tokens_details.cached_tokens == 8


def test_usage_beside_the_finish_reason_is_read_too():
    _, outcome = run(texts([ROLE, chunk(reason="stop", usage=USAGE)]), QUIET)
    assert outcome.usage == Usage(10, 5, 15)


# how it ends


def test_row_65_row_66_a_stream_that_stops_before_its_finish_reason_is_truncated():
    for count in range(len(HELLO)):
        for end in ([], [DONE]):
            stream = TRANSLATOR.stream(CONTEXT)
            for item in [*texts(HELLO[:count]), *end]:
                stream.feed(item)
            with pytest.raises(StreamTruncated) as caught:
                stream.end()
            assert caught.value.code == "upstream_incomplete"


def test_done_may_be_forgotten_after_the_finish_reason():
    chunks, _ = run(texts(HELLO))
    assert len(chunks) == 4


def test_nothing_after_done_counts():
    chunks, outcome = run([*texts(HELLO), DONE, event("rubbish"), event(usage_chunk())])
    assert len(chunks) == 4
    assert outcome.usage is None


def test_each_of_several_choices_needs_its_finish_reason():
    two = [chunk({"content": "a"}, index=0), chunk({"content": "b"}, index=1)]
    with pytest.raises(StreamTruncated):
        run(texts([*two, chunk(reason="stop", index=1)]))
    run(texts([*two, chunk(reason="stop", index=1), chunk(reason="length", index=0)]))


def test_an_empty_stream_is_truncated():
    for events in ([], [DONE], [event("")], [event(usage_chunk()), DONE]):
        with pytest.raises(StreamTruncated):
            run(events)


# what is no chunk


@pytest.mark.parametrize(
    "unknown",
    [
        event({"type": "ping"}, b"ping"),
        event({"object": "aurora", "index": "x", "payload": [1]}),
        event({}),
        event(""),
        event({"choices": None, "x_groq": {"id": "r"}}),
    ],
)
@pytest.mark.parametrize("place", range(5))
def test_events_that_are_no_chunks_change_nothing(unknown: ServerSentEvent, place: int):
    events = texts(HELLO)
    expected = run(events)
    events.insert(place, unknown)
    assert run(events) == expected


def test_chunks_with_fields_and_finish_reasons_to_come_pass():
    odd = chunk({"content": "x", "aurora": {"a": 1}}, new_field=[1])
    chunks, outcome = run(texts([odd, chunk(reason="solar_flare")]))
    assert json.loads(chunks[0].data) == odd
    assert outcome.finish_reason == "solar_flare"


def test_a_preamble_without_choices_passes_and_is_no_payload():
    preamble = {**chunk(), "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    chunks, _ = run(texts([preamble, *HELLO]))
    assert json.loads(chunks[0].data) == preamble
    assert not chunks[0].payload


# errors in the stream


@pytest.mark.parametrize(
    "data",
    [
        event({"error": {"message": "Overloaded", "type": "overloaded_error", "code": None}}),
        event({"error": {"message": "Overloaded", "type": "overloaded_error"}}, b"error"),
        event({"message": "Overloaded", "type": "overloaded_error"}, b"error"),
        event({"object": "error", "message": "Overloaded", "type": "overloaded_error"}),
        event({**chunk(reason="error"), "error": {"message": "Overloaded",
                                                  "type": "overloaded_error"}}),
    ],
)  # fmt: skip
def test_row_66_row_71_an_error_in_the_stream_is_an_error(data: ServerSentEvent):
    error = failure(*texts(HELLO[:2]), data, DONE)
    assert (error.kind, error.status, error.native_type) == ("overloaded", None, "overloaded_error")
    assert error.message == "Overloaded"


def test_row_79_a_rate_limit_in_the_stream_is_one():
    error = failure(event({"error": {"message": "slow", "code": "rate_limit_exceeded"}}))
    assert (error.kind, error.status_hint) == ("rate_limit", 429)


def test_an_error_without_words_is_still_an_error():
    error = failure(event({"error": {}}))
    assert error.kind == "server"
    assert error.message


@pytest.mark.parametrize(
    "data",
    ["rubbish", "[1]", "3", '{"choices":[3]}', '{"choices":[{"delta":{"content":3}}]}', '{"cho',
     '{"choices":"x"}'],
)  # fmt: skip
def test_row_20_what_cannot_be_read_is_a_protocol_error(data: str):
    error = failure(event(ROLE), event(data))
    assert (error.kind, error.status_hint) == ("protocol", 502)


def test_bytes_that_are_not_utf8_are_a_protocol_error():
    broken = ServerSentEvent(b"", b'{"choices":[{"index":0,"delta":{"content":"\xff"}}]}')
    assert failure(broken).kind == "protocol"


def test_streams_do_not_share_state():
    first, second = TRANSLATOR.stream(CONTEXT), TRANSLATOR.stream(CONTEXT)
    for item in texts(HELLO):
        first.feed(item)
    first.end()
    with pytest.raises(StreamTruncated):
        second.end()
    assert second.outcome.model is None
