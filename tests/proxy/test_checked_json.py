"""JSON that a provider does not enforce: checked, mended once, never pretended."""

import asyncio
import json
from functools import partial
from typing import Any

import pytest

import proxy.checked_json
from proxy.call import Call
from proxy.checked_json import CheckedJson
from proxy.choices import Choices
from proxy.provider import AnswerStream
from tests.proxy.played_provider import Item, PlayedTransport, context, played
from translators.errors import ProviderError, TranslationError
from translators.fold import fold
from translators.json_contract import JsonCheck
from translators.protocol import JsonContract
from translators.wire.request import ChatCompletionRequest

Json = dict[str, Any]

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
GOOD, WRONG = '{"n": 1}', '{"n": "one"}'
PLAIN, STRICT = JsonContract(), JsonContract(SCHEMA)


def says(text: str, prompt: int = 10) -> list[Item]:
    """Return an answer that thinks, and says a text in pieces."""
    half = len(text) // 2
    thought: Item = ("reasoning_content", f"hm {prompt}")
    return [
        thought,
        ("text", text[:half]),
        ("text", text[half:]),
        ("usage", prompt),
        ("end", "stop"),
    ]


def checked(
    *answers: list[Item],
    contract: JsonContract = STRICT,
    usage: bool = True,
    **fields: Any,
) -> tuple[CheckedJson, PlayedTransport]:
    provider, transport = played(*answers, contract=contract)
    body = {"model": "m", "messages": [{"role": "user", "content": "Count."}], **fields}
    chat = ChatCompletionRequest.model_validate(body)
    prepare = partial(provider.prepare, model="asked", context=context(include_usage=usage))
    return CheckedJson(prepare(chat), JsonCheck(contract), chat, prepare), transport


async def read(answer: AnswerStream) -> list[bytes]:
    data = [chunk.data async for batch in answer for chunk in batch]
    await answer.aclose()
    return data


async def both(*answers: list[Item], **options: Any) -> list[tuple[Json, Call, PlayedTransport]]:
    """Return the answer as it is streamed, and as it is not."""
    found: list[tuple[Json, Call, PlayedTransport]] = []
    for stream in (True, False):
        (request, transport), call = checked(*answers, **options), Call()
        if stream:
            body = json.loads(fold(await read(await request.open(call))))
            assert transport.open_sources == 0
        else:
            body = json.loads((await request.complete(call)).data)
        found.append((body, call, transport))
    assert found[0][0] == found[1][0]
    return found


def message_of(body: Json) -> Json:
    return body["choices"][0]["message"]


@pytest.mark.parametrize(
    "text",
    [GOOD, f" {GOOD}\n", f"Here it is:\n```json\n{GOOD}\n```\nEnjoy!", f"So {{n}} is: {GOOD}."],
)
async def test_json_is_told_without_what_stands_around_it(text: str):
    for body, call, transport in await both(says(text)):
        assert message_of(body)["content"] == GOOD
        assert message_of(body)["reasoning_content"] == "hm 10"
        assert body["usage"]["prompt_tokens"] == 10
        assert (len(transport.requests), call.follow_ups) == (1, 0)


async def test_an_answer_that_is_clean_is_told_byte_for_byte():
    request, _ = checked(says(GOOD))
    plain = await read(await request.prepared.open(Call()))
    assert await read(await request.open(Call())) == plain


async def test_the_chunks_are_in_order_and_the_usage_comes_last():
    request, _ = checked(says(f"```\n{WRONG}\n```", 5), says(f"```\n{GOOD}\n```"))
    chunks = [json.loads(data) for data in await read(await request.open(Call()))]
    deltas = [{k for k, v in c["choices"][0]["delta"].items() if v} for c in chunks[:-1]]
    assert deltas == [{"role"}, {"reasoning_content"}, {"content"}, set()]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["prompt_tokens"] == 15
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert len({chunk["id"] for chunk in chunks}) == 1


async def test_wrong_json_is_mended_once():
    for body, call, transport in await both(says(WRONG, 5), says(GOOD)):
        assert message_of(body)["content"] == GOOD
        # Of the answer that is told; what led to the other one is not.
        assert message_of(body)["reasoning_content"] == "hm 10"
        assert body["usage"] == {"prompt_tokens": 15, "completion_tokens": 2, "total_tokens": 17}
        assert call.follow_ups == 1
        first, second = transport.requests
        assert second["messages"][: len(first["messages"])] == first["messages"]
        said, asked = second["messages"][len(first["messages"]) :]
        assert said == {"role": "assistant", "content": WRONG}
        assert asked["role"] == "user"
        assert "$.n" in asked["content"]
        assert "'one' is not of type 'integer'" in asked["content"]


async def test_an_empty_answer_is_not_repeated_to_the_model():
    for _, _, transport in await both([("text", " "), ("end", "stop")], says(GOOD)):
        assert [m["role"] for m in transport.requests[1]["messages"]] == ["user", "user"]


async def test_usage_is_not_told_unasked():
    request, _ = checked(says(WRONG), says(GOOD), usage=False)
    chunks = [json.loads(data) for data in await read(await request.open(Call()))]
    assert all(chunk["choices"] for chunk in chunks)


@pytest.mark.parametrize("stream", [True, False])
async def test_json_that_stays_wrong_is_an_error_after_the_second_request(stream: bool):
    request, transport = checked(says(WRONG))
    call = Call()
    with pytest.raises(ProviderError) as caught:
        await read(await request.open(call)) if stream else await request.complete(call)
    error = caught.value
    assert (error.status_hint, error.kind, error.code) == (502, "protocol", "invalid_json_answer")
    assert "`$.n`" in error.message
    assert "`type`" in error.message
    assert "one" not in error.message.replace("once", "").replace("none", "")
    assert (len(transport.requests), call.follow_ups) == (2, 1)


async def test_half_an_object_is_no_object_whatever_stands_in_it():
    broken = '{"a": {"n": 1}, "b'
    for body, _, transport in await both(says(broken), says(GOOD), contract=PLAIN):
        assert message_of(body)["content"] == GOOD
        assert len(transport.requests) == 2


async def test_any_object_will_do_where_there_is_no_schema():
    for body, call, _ in await both(says(WRONG), contract=PLAIN):
        assert message_of(body)["content"] == WRONG
        assert call.follow_ups == 0
    for _, call, _ in await both(says("[1]"), says(WRONG), contract=PLAIN):
        assert call.follow_ups == 1


@pytest.mark.parametrize(
    "answer",
    [
        [("text", "Let me see. "), ("call", "call_1"), ("usage", 3), ("end", "tool_calls")],
        [("refusal", "I can't."), ("usage", 3), ("end", "stop")],
        [("text", "I"), ("usage", 3), ("end", "content_filter")],
        [("text", '{"n": '), ("usage", 3), ("end", "length")],
    ],
    ids=["calls", "refusal", "filter", "length"],
)
async def test_answers_that_ended_in_another_way_are_told_as_they_are(answer: list[Item]):
    for body, call, _ in await both(answer):
        (request, _) = checked(answer)
        plain = await request.prepared.complete(Call())
        assert body == json.loads(plain.data)
        assert call.follow_ups == 0
    # After a wrong one, too: what counts is how the last one ended.
    for body, call, _ in await both(says(WRONG), answer):
        assert body["choices"][0]["finish_reason"] == answer[-1][1]  # type: ignore[index]
        assert call.follow_ups == 1


async def test_nothing_is_told_before_the_answer_is_whole():
    gate = asyncio.Event()
    text, *rest = says(GOOD)[1:]
    request, transport = checked([text, gate, *rest])
    answer = await request.open(Call())
    reading = asyncio.create_task(anext(answer))
    for _ in range(50):
        await asyncio.sleep(0)
    assert transport.sources[0].given == 1
    assert not reading.done()
    gate.set()
    chunks = await reading
    assert json.loads(chunks[-1].data)["usage"] is not None
    with pytest.raises(StopAsyncIteration):
        await anext(answer)


async def test_a_client_that_leaves_while_json_is_mended_ends_both():
    request, transport = checked(says(WRONG), [asyncio.Event(), *says(GOOD)])
    answer = await request.open(Call())
    reading = asyncio.create_task(anext(answer))
    await transport.reached(2)
    assert [source.closed for source in transport.sources] == [True]
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await answer.aclose()
    assert (transport.waiting, transport.given_up, transport.open_sources) == (0, 1, 0)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_provider_that_fails_while_mending_fails(stream: bool):
    error = ProviderError("full", kind="overloaded")
    request, _ = checked(says(WRONG), [error])
    with pytest.raises(ProviderError) as caught:
        await read(await request.open(Call())) if stream else await request.complete(Call())
    assert caught.value is error


async def test_an_answer_that_breaks_off_fails_without_a_second_request():
    request, transport = checked([("text", GOOD), OSError("gone")])
    answer = await request.open(Call())
    with pytest.raises(ProviderError):
        await read(answer)
    await answer.aclose()
    assert (len(transport.requests), transport.open_sources) == (1, 0)


async def test_a_request_that_cannot_be_repeated_is_the_providers_failure():
    request, _ = checked(says(WRONG))

    def refuse(chat: ChatCompletionRequest) -> Any:
        raise TranslationError("no", param="messages")

    request = CheckedJson(request.prepared, request.check, request.chat, refuse)
    with pytest.raises(ProviderError) as caught:
        await request.complete(Call())
    assert caught.value.code == "invalid_json_answer"


async def test_an_answer_without_end_is_not_held(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(proxy.checked_json, "MAX_HELD", 5000)
    request, transport = checked([*[("text", "x" * 100)] * 200, ("end", "stop")])
    answer = await request.open(Call())
    with pytest.raises(ProviderError, match="larger than"):
        await read(answer)
    await answer.aclose()
    assert transport.sources[0].given < 50


async def test_the_outcome_is_that_of_both_requests():
    request, _ = checked(says(WRONG, 5), says(GOOD))
    answer = await request.open(Call())
    outcome = answer.outcome
    await read(answer)
    assert outcome.finish_reason == "stop"
    assert outcome.usage is not None
    assert outcome.usage.prompt_tokens == 15
    request, _ = checked(says(WRONG, 5), says(GOOD))
    assert (await request.complete(Call())).outcome.usage == outcome.usage


@pytest.mark.parametrize("stream", [True, False])
async def test_row_54_of_several_choices_each_is_mended_by_itself(stream: bool):
    request, transport = checked(
        says(GOOD, 1), says(WRONG, 2), says(GOOD, 4), says(f" {GOOD}", 8), n=3
    )
    choices, call = Choices(request, context(include_usage=True)), Call()
    if stream:
        body = json.loads(fold(await read(await choices.open(call))))
    else:
        body = json.loads((await choices.complete(call)).data)
    assert [c["index"] for c in body["choices"]] == [0, 1, 2]
    assert [c["message"]["content"] for c in body["choices"]] == [GOOD] * 3
    assert body["choices"][1]["message"]["reasoning_content"] == "hm 8"
    assert body["usage"]["prompt_tokens"] == 15
    assert body["id"] == "chatcmpl-own"
    assert (len(transport.requests), call.follow_ups) == (4, 1)


def test_what_the_check_leaves_out_is_reported_as_ignored():
    schema = {"type": "object", "properties": {"slug": {"pattern": "^([a-z]+)*$"}}}
    request, _ = checked(contract=JsonContract(schema))
    assert request.report.ignored == ("response_format.json_schema.schema.pattern",)
    assert checked()[0].report.ignored == ()
