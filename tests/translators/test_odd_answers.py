"""Bytes that no provider should send: a provider's fault, never ours, and never the client's."""

import json
from typing import Any

import pytest

from translators.anthropic_messages.translator import AnthropicMessagesTranslator
from translators.errors import ProviderError
from translators.openai_chat.translator import OpenAIChatTranslator
from translators.protocol import Chunk, ResponseContext
from translators.sse import ServerSentEvent, SSEDecoder

CONTEXT = ResponseContext("chatcmpl-1", 1_700_000_000, "m", include_usage=True)
DEEP = b"[" * 100_000 + b"]" * 100_000
NOT_UTF8 = b"\xff\xfe"

MESSAGE = (
    b'{"id":"msg_1","type":"message","role":"assistant","model":"m","stop_reason":"end_turn",'
    b'"usage":{"input_tokens":1,"output_tokens":1},"content":[%s]}'
)
START = MESSAGE % b""


def chunk(**fields: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": "hi"}, "finish_reason": None}
    base = {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
    return json.dumps({**base, **fields}).encode()


@pytest.mark.parametrize(
    "body",
    [
        MESSAGE % (b'{"type":"text","text":"' + NOT_UTF8 + b'"}'),
        MESSAGE % (b'{"type":"tool_use","id":"t","name":"f","input":{"a":"' + NOT_UTF8 + b'"}}'),
        MESSAGE % (b'{"type":"tool_use","id":"t","name":"f","input":' + DEEP + b"}"),
        b'{"content":' + DEEP,
    ],
    ids=["text", "arguments", "deep arguments", "deep"],
)
def test_a_whole_answer_of_anthropics_api(body: bytes) -> None:
    with pytest.raises(ProviderError) as caught:
        AnthropicMessagesTranslator().response(body, CONTEXT)
    assert caught.value.kind == "protocol"


@pytest.mark.parametrize(
    "data",
    [
        b'{"type":"content_block_delta","delta":{"type":"text_delta","text":"' + NOT_UTF8 + b'"}}',
        b'{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t",'
        b'"name":"f","input":{"a":"' + NOT_UTF8 + b'"}}}',
        b'{"type":"unheard_of","x":' + DEEP + b"}",
    ],
    ids=["text", "arguments", "deep"],
)
def test_an_event_of_anthropics_api(data: bytes) -> None:
    stream = AnthropicMessagesTranslator().stream(CONTEXT)
    stream.feed(ServerSentEvent(b"", b'{"type":"message_start","message":' + START + b"}"))
    try:
        stream.feed(ServerSentEvent(b"", data))
        stream.feed(ServerSentEvent(b"", b'{"type":"content_block_stop","index":0}'))
    except ProviderError as error:
        assert error.kind == "protocol"


def test_an_answer_of_openais_api_nested_beyond_reading() -> None:
    with pytest.raises(ProviderError) as caught:
        OpenAIChatTranslator().response(b'{"choices":[{"message":' + DEEP + b"}]}", CONTEXT)
    assert caught.value.kind == "protocol"


def fed(*events: bytes) -> tuple[list[Chunk], Any]:
    stream = OpenAIChatTranslator().stream(CONTEXT)
    chunks = [c for data in events for c in stream.feed(ServerSentEvent(b"", data))]
    return chunks, stream


def test_an_event_of_several_lines_is_one_line_for_the_client() -> None:
    lines = b"data: " + chunk().replace(b", ", b",\ndata: ") + b"\n\n"
    (event,) = SSEDecoder().feed(lines)
    assert b"\n" in event.data
    chunks, _ = fed(event.data)
    assert b"\n" not in chunks[0].data
    assert json.loads(chunks[0].data) == json.loads(chunk())


@pytest.mark.parametrize("usage", [{"prompt_tokens": 1.0}, {"prompt_tokens": "1"}, [1], "x"])
def test_usage_that_cannot_be_read_costs_no_answer(usage: Any) -> None:
    finish: list[Any] = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    chunks, stream = fed(chunk(), chunk(choices=finish, usage=usage))
    assert len(chunks) == 2
    assert list(stream.end()) == []


def test_the_finish_reason_error_is_a_failure() -> None:
    finish: list[Any] = [{"index": 0, "delta": {}, "finish_reason": "error"}]
    with pytest.raises(ProviderError) as caught:
        fed(chunk(), chunk(choices=finish))
    assert caught.value.kind == "server"


def test_a_large_event_of_many_lines_is_read_in_time_that_grows_with_its_size() -> None:
    # Joined line by line this would be a copy of all before for each of a million lines.
    (event,) = SSEDecoder().feed(b"data: x\n" * 1_000_000 + b"\n")
    assert len(event.data) == 1_999_999
