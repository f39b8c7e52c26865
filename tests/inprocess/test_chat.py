"""Answers of the in-process API: all of them, whole, or an error; never something in between."""

import asyncio
import re
from typing import Any

import pytest
from execution_platform.exceptions import (
    ExecutionPlatformError,
    InvalidRequest,
    NoProvider,
    ProviderError,
    RouterError,
    StreamTruncated,
    TimeoutError,
    UnknownPersona,
)
from execution_platform.router import PersonaRouter
from execution_platform.spi import (
    ChatChunk,
    ChatRequest,
    ChatResponse,
    LLMClient,
    Message,
    ToolDefinition,
    ToolParameter,
)

from tests.inprocess.sandboxed import Upstream, ask, pieces, run, text_of

BOTH = pytest.mark.parametrize("dialect", ["openai", "anthropic"])


@pytest.mark.usefixtures("sandbox")
def test_a_thousand_at_once_each_get_their_own_answer() -> None:
    personas = ("architect", "code_writer", "qa_engineer", "reviewer_openai")

    async def one(number: int) -> tuple[int, str]:
        # Half of them with a router of their own, as the guide's snippets have it.
        client = (shared if number % 2 else PersonaRouter()).get_client(personas[number % 4])
        request = ask(f'Number {number} [sandbox say="marker <{number}> of a thousand"]')
        if number % 3:
            return number, await text_of(client, request)
        return number, (await client.chat(request)).text

    shared = PersonaRouter()

    async def main() -> list[tuple[int, str]]:
        return await asyncio.gather(*(one(number) for number in range(1000)))

    answers = run(main)
    assert answers == [(n, f"marker <{n}> of a thousand") for n in range(1000)]


@BOTH
def test_a_stream_says_what_the_whole_answer_says(upstream: Upstream, dialect: str) -> None:
    request = ask("Tell me [sandbox words=30 think=hmm]")

    async def main() -> None:
        client = upstream.router().get_client(f"{dialect}_only")
        streamed, whole = await pieces(client, request), await client.chat(request)
        text = "".join(chunk.delta_text or "" for chunk in streamed)
        assert text == whole.text
        assert len(text.split()) == 30
        assert len([chunk for chunk in streamed if chunk.delta_text]) > 5
        reasons = [chunk.finish_reason for chunk in streamed if chunk.finish_reason]
        assert reasons == [whole.finish_reason] == ["stop"]
        (usage,) = [chunk.usage for chunk in streamed if chunk.usage]
        assert usage == whole.usage
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 30
        thought = "".join(chunk.delta_reasoning or "" for chunk in streamed)
        assert thought == (whole.message.reasoning or "") == "hmm"
        assert {chunk.model for chunk in streamed} == {whole.model}

    run(main)


@BOTH
def test_calls_are_told_whole_and_their_results_are_answered(
    upstream: Upstream, dialect: str
) -> None:
    location = ToolParameter(name="location", type="string", required=True)
    tools = [ToolDefinition(name=name, parameters=[location]) for name in ("weather", "time")]
    first = Message("user", "Oslo? [sandbox tools=2]")

    async def main() -> None:
        client = upstream.router().get_client(f"{dialect}_only")
        streamed = await pieces(client, ChatRequest([first], tools=tools))
        calls = [chunk.tool_call for chunk in streamed if chunk.tool_call]
        assert [call.name for call in calls] == ["weather", "time"]
        assert all(call.parsed().keys() == {"location"} for call in calls)
        assert len({call.id for call in calls}) == 2
        assert [chunk.finish_reason for chunk in streamed if chunk.finish_reason] == ["tool_calls"]

        whole = await client.chat(ChatRequest([first], tools=tools))
        assert [call.name for call in whole.tool_calls] == ["weather", "time"]
        assert whole.message.tool_calls == whole.tool_calls
        results = [
            Message("tool", f"result of {call.name}", tool_call_id=call.id)
            for call in whole.tool_calls
        ]
        after = await client.chat(ChatRequest([first, whole.message, *results], tools=tools))
        assert "result of weather" in after.text
        assert "result of time" in after.text

    run(main)


def test_several_choices_are_told_apart(upstream: Upstream) -> None:
    async def main() -> None:
        client = upstream.router().get_client("openai_only")
        streamed = await pieces(client, ask("Hi [sandbox say=ok]", n=3))
        texts = {index: "" for index in range(3)}
        for chunk in streamed:
            texts[chunk.index] += chunk.delta_text or ""
        assert set(texts.values()) == {"ok"}
        whole = await client.chat(ask("Hi [sandbox say=ok]", n=3))
        assert [choice.index for choice in whole.choices] == [0, 1, 2]

    run(main)


def test_a_failed_provider_is_replaced_and_the_answer_says_by_whom(upstream: Upstream) -> None:
    request = ask("Hi [sandbox provider=anthropic fail=529] [sandbox say=ok]", seed=7)

    async def main() -> None:
        client = upstream.router().get_client("anthropic_first")
        chat = client.chat(request)
        assert "".join([chunk.delta_text or "" async for chunk in chat]) == "ok"
        for served in (chat.served, (await client.chat(request)).served):
            assert (served.persona, served.provider) == ("anthropic_first", "openai")
            assert served.attempts >= 2
            assert served.report.ignored == ()
            assert re.fullmatch(r"req_[0-9a-f]{32}", served.request_id)
        whole = await client.chat(ask("Hi", seed=7))
        assert (whole.provider, whole.report.ignored) == ("anthropic", ("seed",))

    run(main)


@BOTH
@pytest.mark.parametrize("fault", ["cut=9", "eof=9", "error=9"])
def test_a_stream_that_breaks_raises(upstream: Upstream, dialect: str, fault: str) -> None:
    async def main() -> None:
        client = upstream.router().get_client(f"{dialect}_only")
        seen: list[ChatChunk] = []
        with pytest.raises(ProviderError) as caught:
            async for chunk in client.chat(ask(f"Hi [sandbox words=60 {fault}]")):
                seen.append(chunk)
        assert "".join(chunk.delta_text or "" for chunk in seen)
        assert not [chunk for chunk in seen if chunk.finish_reason or chunk.tool_call]
        assert caught.value.provider == dialect
        if fault.startswith("eof"):
            assert isinstance(caught.value, StreamTruncated)

    run(main)


def test_a_call_that_is_cut_off_is_not_told(upstream: Upstream) -> None:
    async def main() -> None:
        client = upstream.router().get_client("openai_only")
        request = ask("Hi [sandbox tool=look eof=3]", tools=[ToolDefinition("look")])
        chat, calls = client.chat(request), list[Any]()
        with pytest.raises(StreamTruncated):
            async for chunk in chat:
                calls.append(chunk.tool_call)
        assert not any(calls)

    run(main)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(
    ("directive", "kind", "status", "retry_after"),
    [
        ("fail=400", "invalid", 400, None),
        ("fail=401", "auth", 401, None),
        ("fail=429 retry_after=77", "rate_limit", 429, 77),
        ("fail=quota", "quota", 429, None),
        ("fail=context", "invalid", 400, None),
    ],
)
def test_an_error_has_what_its_caller_needs(
    upstream: Upstream,
    streamed: bool,
    directive: str,
    kind: str,
    status: int,
    retry_after: float | None,
) -> None:
    async def main() -> None:
        client = upstream.router().get_client("openai_only")
        request = ask(f"Hi [sandbox {directive}]")
        with pytest.raises(ProviderError) as caught:
            if streamed:
                await pieces(client, request)
            else:
                await client.chat(request)
        error = caught.value
        assert (error.kind, error.status, error.retry_after) == (kind, status, retry_after)
        assert error.provider == "openai"
        assert error.request_id
        assert error.message == str(error) != ""

    run(main)


def test_a_provider_that_is_silent_is_a_timeout(upstream: Upstream) -> None:
    async def main() -> None:
        client = upstream.router().get_client("short_openai_only")
        with pytest.raises(TimeoutError) as caught:
            await text_of(client, ask("Hi [sandbox delay=30]"))
        assert caught.value.phase == "first_token"
        assert (caught.value.provider, caught.value.code) == ("short_openai", "timeout")
        assert isinstance(caught.value, ProviderError)
        with pytest.raises(TimeoutError) as caught:
            await (
                upstream.router(timeout=0.4)
                .get_client("openai_only")
                .chat(ask("Hi [sandbox delay=30]"))
            )
        assert caught.value.phase == "total"

    run(main)


async def whole(client: LLMClient, request: ChatRequest) -> ChatResponse:
    return await client.chat(request)


def test_a_request_that_is_wrong_is_refused_with_its_param(upstream: Upstream) -> None:
    async def main() -> None:
        client = upstream.router().get_client("openai_only")
        for request, param in (
            (ask("Hi", temperature=3), "temperature"),
            (ask("Hi", temperature=float("nan")), "temperature"),
            (ask("Hi", metadata={"a": 1}), "metadata.a"),
            (ChatRequest([]), "messages"),
            (ChatRequest([Message("tool", "x", tool_call_id="a")]), "messages[0].tool_call_id"),
            (ChatRequest([Message("nobody", "x")]), "messages[0].role"),
            (ask("Hi", extra={"stream": True}), "stream"),
            (ask("Hi", extra={"functions": []}), "functions"),
            (ask("Hi", extra={"model": "x"}), "model"),
            (ask("Hi", extra={"odd": object()}), None),
            (ask("Hi", model="gpt-9"), "model"),
        ):
            for how in (whole, pieces):
                with pytest.raises(InvalidRequest) as caught:
                    await how(client, request)
                assert caught.value.param == param, request
                assert vars(caught.value)["request_id"].startswith("req_")
        assert upstream.requests() == []

    upstream.requests()
    run(main)


def test_an_unknown_persona_is_a_router_error_and_a_value_error(upstream: Upstream) -> None:
    router = upstream.router()
    for ask_for in (router.get_client, router.select_provider):
        with pytest.raises(
            RouterError, match="No provider satisfies requirements for persona"
        ) as e:
            ask_for("openai_frist")
        assert isinstance(e.value, ValueError)
        assert isinstance(e.value, UnknownPersona)
        assert isinstance(e.value, ExecutionPlatformError)
        assert "Did you mean `openai_first`" in str(e.value)
        assert "`personas:`" in str(e.value)
        assert vars(e.value)["status"] == 404


@pytest.mark.usefixtures("sandbox")
def test_a_persona_that_nobody_can_serve_says_what_is_missing() -> None:
    router = PersonaRouter(sandbox=False)
    with pytest.raises(NoProvider, match="set EP_OPENAI_API_KEY") as caught:
        router.get_client("architect_openai")
    assert vars(caught.value)["status"] == 503
    assert "No provider satisfies requirements for persona" in str(caught.value)


def test_select_provider_asks_nobody(upstream: Upstream) -> None:
    before = upstream.connections()
    router = upstream.router()
    assert router.select_provider("openai_first") == "openai"
    assert router.select_provider("anthropic_first") == "anthropic"
    # Each look at the counter makes one.
    assert upstream.connections() == before + 1
