"""OpenAI's two APIs behind one provider: what fails there fails as it does elsewhere."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from openai import APIStatusError, AsyncOpenAI

from tests.http.openai_apis import CHAT, RESPONSES, TOOLS, api_policy, fresh, paths
from tests.http.scripted import Stage, scripted
from tests.http.wire import Upstream, assert_error, chat, events_of, new_sdk, unique
from tests.providers import UPSTREAM_KEY
from tests.serving import Proxy, SandboxProcess

KEY = {"UPSTREAM_KEY": UPSTREAM_KEY}
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture(scope="module")
def server(providers: SandboxProcess, scripted_port: int) -> Iterator[Proxy]:
    with Proxy(env=KEY, policy=api_policy(providers, scripted_port)) as process:
        yield process


@pytest.fixture
async def sdk(server: Proxy) -> AsyncIterator[AsyncOpenAI]:
    async with new_sdk(server) as client:
        yield client


ERRORS = [
    ("fail=401", 502, "upstream_authentication_failed"),
    ("fail=429 retry_after=9", 429, "rate_limit_exceeded"),
    ("fail=quota", 429, "insufficient_quota"),
    ("fail=context", 400, "context_length_exceeded"),
    ("fail=500", 502, "upstream_error"),
]


@STREAM
@pytest.mark.parametrize("row", ["auto", "responses", "native"])
@pytest.mark.parametrize(("failure", "status", "code"), ERRORS)
async def test_errors_of_responses_are_mapped(
    server: Proxy, row: str, failure: str, *, status: int, code: str, stream: bool
) -> None:
    answer = await chat(server, fresh(row), f"[sandbox {failure}]", tools=TOOLS, stream=stream)
    assert_error(answer, status, code=code)
    if status == 429 and "retry_after" in failure:
        assert answer.headers["retry-after"] == "9"


@STREAM
async def test_a_retry_goes_where_the_request_was_referred_to(
    server: Proxy, upstream: Upstream, stream: bool
) -> None:
    model, marker = fresh(), unique()
    text = f"{marker} [sandbox fail=429 retry_after=0.1 times=1 key={marker}] [sandbox say=ok]"
    answer = await chat(server, model, text, tools=TOOLS, seed=1, stream=stream)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-ep-attempts"] == "2"
    assert answer.headers["x-ep-ignored-params"] == "seed"
    assert await paths(upstream, marker) == [CHAT, RESPONSES, RESPONSES]
    # The second try has taught it as well.
    more = unique()
    await chat(server, model, more, tools=TOOLS, stream=stream)
    assert await paths(upstream, more) == [RESPONSES]


@pytest.mark.parametrize("fault", ["error=12", "cut=12", "eof=12", "stop_reason=failed"])
async def test_rows_66_71_a_stream_of_responses_that_breaks_never_looks_finished(
    server: Proxy, fault: str
) -> None:
    text = f"[sandbox words=40 {fault}]"
    answer = await chat(server, "responses/gpt-4.1", text, stream=True)
    *_, last = events_of(answer.text)
    assert set(last) == {"error"}
    assert 'finish_reason":"' not in answer.text
    assert "[DONE]" not in answer.text


REFERRAL = {
    "error": {
        "message": "Function tools with reasoning_effort are not supported for m in "
        "/v1/chat/completions. Please use /v1/responses instead.",
        "type": "invalid_request_error",
        "param": "reasoning_effort",
        "code": None,
    }
}


async def _reply(stage: Stage, status: str, body: Any) -> None:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(data)}"
    stage.writer.write(f"{head}\r\nconnection: close\r\n\r\n".encode() + data)
    await stage.writer.drain()


@STREAM
async def test_a_server_that_names_an_api_it_lacks_is_taken_at_its_first_word(
    server: Proxy, scripted_port: int, stream: bool
) -> None:
    seen: list[bytes] = []

    async def play(stage: Stage) -> None:
        seen.append(stage.head.split(b" ")[1])
        if stage.head.startswith(b"POST /v1/responses"):
            await _reply(stage, "404 Not Found", {"detail": "Not Found"})
        else:
            await _reply(stage, "400 Bad Request", REFERRAL)

    async with scripted(scripted_port, play):
        for _ in range(2):
            answer = await chat(server, "liar/m", "Hi", tools=TOOLS, stream=stream)
            error = assert_error(answer, 400, param="reasoning_effort")
            assert "Please use /v1/responses instead." in error["message"]
    # It is not believed the second time either.
    assert seen == [b"/v1/chat/completions", b"/v1/responses"] * 2


async def test_another_refusal_is_no_referral(server: Proxy, upstream: Upstream) -> None:
    marker = unique()
    answer = await chat(server, fresh(), marker, tools=TOOLS, tool_choice="/v1/responses")
    assert_error(answer, 400, param="tool_choice")
    missing = await chat(server, "auto/gpt-does-not-exist", marker)
    assert_error(missing, 404)
    assert set(await paths(upstream, marker)) <= {CHAT}


async def test_the_sdk_sees_a_status_error(sdk: AsyncOpenAI) -> None:
    with pytest.raises(APIStatusError) as caught:
        await sdk.chat.completions.create(
            model=fresh("native"), messages=[{"role": "user", "content": "[sandbox fail=429]"}]
        )
    assert caught.value.status_code == 429
