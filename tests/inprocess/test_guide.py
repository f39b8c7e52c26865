"""The integration guide, run: its patterns, examples and snippets, as they stand in it."""

import asyncio
import builtins
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

import pytest
from execution_platform import exceptions, router, spi
from execution_platform.router import PersonaRouter

from tests.guide import Block, block, parameters, run
from tests.inprocess.sandboxed import ask
from tests.inprocess.sandboxed import run as in_a_loop

QUALITY_FABRIC = {"Setup"}
"""Blocks that another module answers for, with its own tests."""

SIGNATURES = {"PersonaRouter", "ChatRequest", "Message", "ChatChunk"}
"""Blocks that are declarations; they are compared with the API in `test_guide_signatures`."""

pytestmark = pytest.mark.usefixtures("sandbox")

Namespace = dict[str, Any]


@dataclass
class Turn:
    user_message: str


def imported() -> Namespace:
    """What the guide's snippets take as imported from earlier ones."""
    return {
        "PersonaRouter": router.PersonaRouter,
        **{name: getattr(spi, name) for name in ("Message", "ChatRequest", "LLMClient")},
        **{name: getattr(exceptions, name) for name in ("ProviderError", "TimeoutError")},
        "List": list,
        "Optional": Optional,
        "dataclass": dataclass,
        "asyncio": asyncio,
        "time": time,
    }


def around() -> Namespace:
    """The program around a snippet: the names that the guide leaves to its reader."""
    persona_router = PersonaRouter()
    client = persona_router.get_client("architect")
    request = ask("Hello", max_tokens=100)

    async def execute_request(client: Any, request: Any, **_: Any) -> str:
        return (await client.chat(request)).text

    async def execute(task: Any) -> str:
        return (await client.chat(task)).text

    return {
        **imported(),
        "router": persona_router,
        "client": client,
        "request": request,
        "persona": "architect",
        "messages": list(request.messages),
        "conversation": [Turn("one"), Turn("two")],
        "response": "an answer",
        "first_response": "an answer",
        "task_type": "summary",
        "execute_request": execute_request,
        "execute": execute,
        "task1": request,
        "task2": request,
        "task3": request,
        "logger": logging.getLogger("guide"),
    }


def names(found: Block, more: Namespace | None = None) -> Namespace:
    """Run a block; return the namespace that it leaves."""
    namespace = {**imported(), **(more or {})}
    in_a_loop(lambda: run(found, namespace))
    return namespace


@pytest.mark.parametrize("found", parameters("python", but=QUALITY_FABRIC))
def test_every_block_runs(found: Block) -> None:
    async def main() -> list[Any]:
        namespace = around()
        await run(block("Fallback Providers"), namespace)
        if found.heading in SIGNATURES:
            namespace |= {"ToolDefinition": spi.ToolDefinition, "Usage": spi.Usage}
        return await run(found, namespace)

    yielded = in_a_loop(main)
    assert bool(yielded) == (found.heading == "5. Performance Optimization")


def test_the_list_of_what_is_not_run_here_is_right() -> None:
    assert "quality_fabric_client" in block("Setup").text
    for name in SIGNATURES:
        assert f"class {name}:" in block(name).text


def test_basic_usage_prints_the_answer_and_its_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    names(block("Basic Usage"))
    printed = capsys.readouterr().out
    assert "> Design a REST API for user management" in printed
    assert "You are a software architect" in printed
    total = int(printed.rpartition("Tokens used: ")[2])
    assert total > 40


def test_pattern_1_simple_request() -> None:
    found = names(block("Pattern 1: Simple Single Request"))
    answer = in_a_loop(lambda: found["simple_request"]('Hi [sandbox say="the one answer"]'))
    assert answer == "the one answer"


def test_pattern_2_conversation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = names(block("Pattern 2: Multi-Turn Conversation"))
    said = iter(['First [sandbox say="the first answer"]', "And now?", "exit"])

    def typed(prompt: str) -> str:
        return next(said)

    monkeypatch.setattr(builtins, "input", typed)
    asked: list[Any] = []
    kept = spi.ChatRequest

    def remembering(*arguments: Any, **fields: Any) -> spi.ChatRequest:
        request = kept(*arguments, **fields)
        asked.append([(message.role, message.content) for message in request.messages])
        return request

    found["ChatRequest"] = remembering
    in_a_loop(lambda: found["conversation"]("architect"))
    first, second = capsys.readouterr().out.split("\n", 1)
    assert first == "the first answer"
    assert "> And now?" in second
    assert [role for role, _ in asked[1]] == ["user", "assistant", "user"]
    assert asked[1][1] == ("assistant", "the first answer")


def test_pattern_3_switches_providers_and_its_last_phase_is_answered() -> None:
    found = names(block("Pattern 3: Provider Switching Workflow"))
    results = in_a_loop(lambda: found["multi_provider_workflow"]("a shop"))
    assert list(results) == ["requirements", "architecture", "review"]
    assert "answer from claude" in results["requirements"]
    assert "> Analyze: a shop" in results["requirements"]
    assert "answer from gpt" in results["architecture"]
    assert "> Design the architecture" in results["architecture"]
    # The conversation ends with the assistant's words, which Claude would not go on with.
    assert "answer from claude" in results["review"]
    assert "> The message above is context." in results["review"]


def test_pattern_4_runs_in_parallel() -> None:
    found = names(block("Pattern 4: Parallel Execution"))
    first, second, third = found["results"]
    assert "> Design API" in first
    assert "> Write handler" in second
    assert "> Create tests" in third


def test_pattern_5_calls_a_tool(capsys: pytest.CaptureFixture[str]) -> None:
    found = names(block("Pattern 5: Tool Calling"))

    def message(role: str, content: str) -> spi.Message:
        # The sandbox calls the tool that it is told to; the guide's question names none.
        return spi.Message(role, content + " [sandbox tool=get_weather]")

    found["Message"] = message
    in_a_loop(lambda: found["tool_calling_example"]())
    printed = capsys.readouterr().out
    assert "Tool called: get_weather\n" in printed
    assert 'Arguments: {"location":' in printed


def test_example_1_generates_an_api() -> None:
    service = names(block("Example 1: REST API Generation Service"))["APIGenerationService"]()
    result = in_a_loop(lambda: service.generate_api("users"))
    assert list(result) == ["requirements", "design", "review"]
    assert "> Analyze API requirements: users" in result["requirements"]
    assert "answer from gpt" in result["design"]
    assert "> Design REST API based on: Sandbox answer from claude" in result["design"]
    assert "> Review API design: Sandbox answer from gpt" in result["review"]


def test_example_2_reviews_code() -> None:
    service = names(block("Example 2: Code Review Service"))["CodeReviewService"]()
    result = in_a_loop(lambda: service.review_code("print(1)"))
    assert result["language"] == "python"
    assert "> print(1)" in result["review"]
    assert "answer from gpt" in result["review"]


def test_example_3_orchestrates_phases() -> None:
    made = names(block("Example 3: Multi-Provider Orchestrator"))["MultiProviderOrchestrator"]()
    phases = [
        {"persona": "architect", "prompt": "Plan it", "name": "plan"},
        {"persona": "qa_engineer", "prompt": "Test it"},
        {"persona": "reviewer", "prompt": "Review it", "max_tokens": 400},
    ]
    results = in_a_loop(lambda: made.execute_workflow(phases))
    assert [result["provider"] for result in results] == ["anthropic", "openai", "anthropic"]
    assert [result["phase"] for result in results] == ["plan", "Phase 2", "Phase 3"]
    for result, phase in zip(results, phases, strict=True):
        assert f"> {phase['prompt']}" in result["output"]
        assert result["duration_ms"] > 0


def test_the_retry_snippet_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    found = names(block("Retry Logic"))
    retried = found["execute_with_retry"].retry
    waits: list[float] = []

    async def at_once(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(retried, "sleep", at_once)
    # More often than the engine itself tries: the second call of the function has the answer.
    request = ask("Hi [sandbox fail=500 times=3 key=guide-retry] [sandbox say=recovered]")

    async def main() -> str:
        client = PersonaRouter().get_client("architect_openai")
        return await found["execute_with_retry"](client, request)

    assert in_a_loop(main) == "recovered"
    assert waits and waits[0] >= 4


def test_the_fallback_snippet_falls_back() -> None:
    found = names(block("Fallback Providers"))
    asked: list[str] = []

    class Watched(PersonaRouter):
        def get_client(self, persona: str) -> spi.LLMClient:
            asked.append(persona)
            return super().get_client(persona)

    found["PersonaRouter"] = Watched
    # What a provider refuses, the engine does not ask of the next one: the snippet does.
    request = ask('Hi [sandbox provider=anthropic fail=400] [sandbox say="from OpenAI"]')
    answer = in_a_loop(lambda: found["execute_with_fallback"]("architect", request))
    assert answer == "from OpenAI"
    assert asked == ["architect", "architect_openai"]


def exceptions_snippet(**names: Any) -> None:
    in_a_loop(lambda: run(block("Exception Types"), {**around(), **names}))


def test_the_exceptions_snippet_says_nothing_of_an_answer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exceptions_snippet(request=ask("Hi [sandbox say=well]"))
    assert capsys.readouterr().out == ""


def test_the_exceptions_snippet_meets_a_provider_that_refuses(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exceptions_snippet(request=ask("Hi [sandbox fail=400]"))
    assert capsys.readouterr().out.startswith("Provider error: ")


def test_the_exceptions_snippet_meets_an_unknown_persona(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Unknown:
        def get_client(self, persona: str) -> Any:
            return PersonaRouter().get_client("no_such_persona")

    exceptions_snippet(router=Unknown())
    printed = capsys.readouterr().out
    assert printed.startswith("Routing error: ")
    assert "No provider satisfies requirements for persona" in printed


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    import threading

    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before
