"""The SSE decoder against the specification, and against a slow reader of the same bytes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.errors import ProviderError
from translators.sse import ServerSentEvent, SSEDecoder


def decode(*pieces: bytes) -> list[ServerSentEvent]:
    decoder = SSEDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.end()


def data_of(*pieces: bytes) -> list[bytes]:
    return [event.data for event in decode(*pieces)]


def slow_lines(stream: bytes) -> tuple[list[bytes], bytes]:
    """Return the lines, and what stands behind the last line end; byte by byte."""
    rest = list(stream[3:] if stream.startswith(b"\xef\xbb\xbf") else stream)
    lines: list[bytes] = []
    line = bytearray()
    while rest:
        byte = rest.pop(0)
        if byte not in b"\r\n":
            line.append(byte)
            continue
        if byte == 0x0D and rest and rest[0] == 0x0A:
            rest.pop(0)
        lines.append(bytes(line))
        line.clear()
    return lines, bytes(line)


def looks_like_json(block: list[bytes]) -> bool:
    text = b"\n".join(block).strip()
    return (text.startswith(b"{") and text.endswith(b"}")) or (
        text.startswith(b"[") and text.endswith(b"]")
    )


def slow_reference(stream: bytes) -> list[ServerSentEvent]:
    """Read the stream as the specification words it, knowing its end.

    Beyond the specification, a last event that lacks nothing but its blank line counts, and a
    block of nothing but JSON is an event.
    """
    lines, cut = slow_lines(stream)
    events: list[ServerSentEvent] = []
    name, data, block = b"", list[bytes](), list[bytes]()
    blanks = [i for i, line in enumerate(lines) if not line]
    last = lines[blanks[-1] + 1 if blanks else 0 :]
    if cut and looks_like_json([*last, cut]):
        lines, cut = [*lines, cut], b""
    # A line that was cut spoils its event.
    for entry in lines if cut else [*lines, b""]:
        if entry == b"":
            if data:
                events.append(ServerSentEvent(name, b"\n".join(data)))
            elif looks_like_json(block):
                events.append(ServerSentEvent(b"", b"\n".join(block).strip()))
            name, data, block = b"", [], []
            continue
        block.append(entry)
        position = entry.index(b":") if b":" in entry else len(entry)
        field, value = entry[:position], entry[position + 1 :]
        value = value[1:] if value.startswith(b" ") else value
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return events


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"], ids=["LF", "CR", "CRLF"])
def test_each_line_end_ends_lines_and_events(end: bytes):
    stream = b"event: a" + end + b"data: 1" + end + b"data: 2" + end + end + b"data: 3" + end + end
    assert decode(stream) == [ServerSentEvent(b"a", b"1\n2"), ServerSentEvent(b"", b"3")]


def test_line_ends_may_be_mixed():
    assert data_of(b"data: 1\r\n\ndata: 2\r\rdata: 3\n\r\ndata: 4\n\r") == [b"1", b"2", b"3", b"4"]


def test_crlf_cut_between_its_halves_is_one_line_end():
    assert data_of(b"data: 1\r", b"\ndata: 2\r", b"", b"\n\r", b"\n") == [b"1\n2"]


def test_cr_at_the_end_of_a_chunk_ends_the_event_at_once():
    decoder = SSEDecoder()
    assert decoder.feed(b"data: 1\r\r") == [ServerSentEvent(b"", b"1")]
    assert decoder.feed(b"\ndata: 2\r\n\r\n") == [ServerSentEvent(b"", b"2")]


def test_a_byte_order_mark_is_skipped_at_the_start_only():
    bom = b"\xef\xbb\xbf"
    assert data_of(bom + b"data: 1\n\n") == [b"1"]
    assert data_of(bom[:1], bom[1:2], bom[2:] + b"data: 1\n\n") == [b"1"]
    assert data_of(b"data: 1\n\n" + bom + b"data: 2\n\n") == [b"1"]


def test_comments_and_unknown_fields_are_skipped():
    stream = b": ping\n\n:\nid: 7\nretry: 10\ndatax: no\n data: no\ndata: 1\n: in between\n\n"
    assert decode(stream) == [ServerSentEvent(b"", b"1")]


def test_one_space_after_the_colon_is_optional():
    assert data_of(b"data:1\n\ndata: 1\n\ndata:  1\n\ndata:\t1\n\n") == [b"1", b"1", b" 1", b"\t1"]


def test_the_examples_of_the_specification():
    assert data_of(b"data: YHOO\ndata: +2\ndata: 10\n\n") == [b"YHOO\n+2\n10"]
    assert data_of(b"data\n\ndata\ndata\n\ndata:") == [b"", b"\n"]
    assert data_of(b"data:test\n\ndata: test\n\n") == [b"test", b"test"]


def test_an_event_without_data_is_none_and_its_name_is_forgotten():
    assert decode(b"event: a\n\ndata: 1\n\n") == [ServerSentEvent(b"", b"1")]


ERROR = b'{\n  "error": {\n    "code": 503,\n    "message": "a: b"\n  }\n}'


@pytest.mark.parametrize("after", [b"", b"\n", b"\n\n", b"\n\ndata: 2\n\n"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_row_66_bare_json_in_the_place_of_an_event_is_one(after: bytes, end: bytes):
    stream = (b"data: 1\n\n" + ERROR + after).replace(b"\n", end)
    expected = [b"1", ERROR, b"2"] if b"2" in after else [b"1", ERROR]
    assert data_of(stream) == expected
    assert data_of(*(bytes([byte]) for byte in stream)) == expected


@pytest.mark.parametrize("cut", [b"{", b'{\n "error": 1,', b'[{"a": 1}'])
def test_bare_json_that_was_cut_is_no_event(cut: bytes):
    assert data_of(b"data: 1\n\n" + cut) == [b"1"]


def test_the_last_name_counts():
    assert decode(b"event: a\nevent: b\ndata: 1\n\n") == [ServerSentEvent(b"b", b"1")]


SEPARATORS = "\u2028\u2029\u0085\u000b\u000c\u001c\u001d\u001e"


def test_only_cr_and_lf_separate_lines():
    text = f'{{"text":"a{SEPARATORS}b"}}'.encode()
    assert data_of(b"data: " + text + b"\n\n") == [text]


def test_row_78_utf8_cut_anywhere_is_whole_again():
    text = "data: aé€\U0001f680\u2028z\n\n".encode()
    for position in range(len(text)):
        assert data_of(text[:position], text[position:]) == [text[6:-2]]


def test_bytes_that_are_not_utf8_pass_for_the_json_decoder_to_refuse():
    assert data_of(b"data: \xff\xfe\n\n") == [b"\xff\xfe"]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: 1\n\ndata: 2", [b"1"]),
        (b"data: 1\n\ndata: 2\n", [b"1", b"2"]),
        (b"data: 1\n\ndata: 2\r", [b"1", b"2"]),
        (b"data: 1\n\ndata: 2\ndata: 3", [b"1"]),
        (b"data: 1\n\ndata: 2\n: cut comm", [b"1"]),
        (b"", []),
        (b"\n", []),
        (b"\n\n\n", []),
    ],
)
def test_an_unterminated_last_event_counts_only_if_its_lines_are_whole(
    stream: bytes, expected: list[bytes]
):
    assert data_of(stream) == expected


def test_the_end_leaves_nothing_behind():
    decoder = SSEDecoder()
    assert decoder.feed(b"data: 1\n") == []
    assert decoder.end() == [ServerSentEvent(b"", b"1")]
    assert decoder.end() == []


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_an_event_beyond_the_limit_is_an_error_however_it_arrives(step: int):
    stream = b"data: " + b"x" * 200 + b"\n\n"
    decoder = SSEDecoder(max_event_size=100)
    with pytest.raises(ProviderError, match="larger than 100 bytes") as caught:
        for position in range(0, len(stream), step):
            decoder.feed(stream[position : position + step])
    assert caught.value.kind == "protocol"


@pytest.mark.parametrize("ahead", [b"", b": c\n"])
def test_the_limit_is_exact_for_events_that_come_whole(ahead: bytes):
    event = b"event: a\ndata: " + b"x" * 85
    most = SSEDecoder(max_event_size=len(ahead + event))
    # The blank line is not the event's; where it comes in one piece with it, it counts.
    (found,) = [*most.feed(ahead + event), *most.feed(b"\n\n")]
    assert found == ServerSentEvent(b"a", b"x" * 85)
    with pytest.raises(ProviderError, match="larger"):
        SSEDecoder(max_event_size=len(ahead + event) - 1).feed(ahead + event + b"\n\n")


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        pytest.param([b"data: 1\n", b"data: 2\n\n"], [b"1\n2"], id="the rest of an event"),
        pytest.param([b"data: 1\n\n", b"data: 2\n\n"], [b"1", b"2"], id="one after another"),
        pytest.param([b"data: 1\n\ndata: 2\n\n"], [b"1", b"2"], id="two at once"),
        pytest.param([b"data: a\rb\n\n"], [b"a"], id="a line that ends within the line"),
        pytest.param([b"data: a\n\r", b"data: b\n\n"], [b"a", b"b"], id="behind a carriage return"),
        pytest.param(
            [b"data: 1\n\n", b"\xef\xbb\xbfdata: 2\n\n"], [b"1"], id="no mark but at the beginning"
        ),
        pytest.param([b"\xef\xbb\xbfdata: 1\n\n"], [b"1"], id="a mark at the beginning"),
        pytest.param([b"event: data: 1\ndata: 2\n\n"], [b"2"], id="a name like a line of data"),
        pytest.param([b"data: \n\n"], [b""], id="no data"),
    ],
)
def test_what_looks_like_a_whole_event_is_one_only_where_it_begins(
    pieces: list[bytes], expected: list[bytes]
):
    assert data_of(*pieces) == expected


def test_a_line_that_never_ends_is_an_error():
    decoder = SSEDecoder(max_event_size=1000)
    with pytest.raises(ProviderError):
        for _ in range(100):
            decoder.feed(b"x" * 64)


def test_the_limit_is_each_events_own():
    decoder = SSEDecoder(max_event_size=100)
    stream = (b"data: " + b"x" * 60 + b"\n\n") * 50
    assert len(decoder.feed(stream)) == 50
    assert sum(len(decoder.feed(stream[i : i + 3])) for i in range(0, len(stream), 3)) == 50


LINES = st.sampled_from(
    [
        b"data: ",
        b"data:",
        b"data",
        b"data: 1\n\n",
        b"event: a\ndata: 2\n\n",
        b"event: a",
        b"event:",
        b": c",
        b"x: y",
        b"",
        b'{"a": 1',
        b"}",
        b"[",
        b"]",
        "é€😀\u2028".encode(),
    ]
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n", b""])


def joined(bom: bytes, parts: list[tuple[bytes, bytes]]) -> bytes:
    return bom + b"".join(line + end for line, end in parts)


STREAMS = st.builds(
    joined,
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.lists(st.tuples(LINES | st.binary(max_size=4), ENDS), max_size=14),
)


@given(STREAMS)
def test_decodes_as_the_reference_does(stream: bytes):
    assert decode(stream) == slow_reference(stream)


@given(STREAMS)
def test_cut_at_every_byte_says_what_the_whole_says(stream: bytes):
    whole = decode(stream)
    assert decode(*(bytes([byte]) for byte in stream)) == whole
    for position in range(len(stream) + 1):
        assert decode(stream[:position], stream[position:]) == whole


@given(STREAMS)
def test_cut_behind_line_ends_says_what_the_whole_says(stream: bytes):
    whole = decode(stream)
    assert decode(*re.findall(rb"[^\n]*\n|[^\n]+", stream)) == whole
    assert decode(*re.findall(rb"(?s:.)*?\n\n|(?s:.)+", stream)) == whole


@given(STREAMS, st.lists(st.integers(0, 80), max_size=6))
def test_cut_at_several_places_says_what_the_whole_says(stream: bytes, places: list[int]):
    cuts = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    pieces = [stream[a:b] for a, b in zip(cuts, cuts[1:], strict=False)]
    assert decode(*pieces) == decode(stream)
