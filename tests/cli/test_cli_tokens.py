"""`tokens`: the count is that of the request which the engine would send."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import anthropic
import httpx
import openai
import pytest
from anthropic.types import Message
from google import genai
from google.genai import types
from openai.types.responses import Response as Answer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.sandbox.app import create_sandbox, journal_of
from proxy.sandbox.journal import Journal
from tests.cli.command import Done, pipe
from tests.clouds import in_thread
from tests.serving import Proxy

Run = Callable[..., Done]

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
CHAT: Mapping[str, Any] = {
    "model": "architect",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is it like in Oslo?"},
                {"type": "image_url", "image_url": {"url": PIXEL}},
            ],
        },
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "Rain."},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
            },
        }
    ],
    "tool_choice": "auto",
    "max_completion_tokens": 500,
    "temperature": 0.5,
    "stop": ["END"],
    "user": "someone",
    "stream": True,
    "stream_options": {"include_usage": True},
}
KEYS = {"OPENAI_API_KEY": "sk-1", "ANTHROPIC_API_KEY": "sk-2", "GEMINI_API_KEY": "sk-3"}


@pytest.fixture
def request_file(tmp_path: Path) -> str:
    path = tmp_path / "request.json"
    path.write_text(json.dumps(CHAT), encoding="utf-8")
    return str(path)


class Asked:
    """A sandbox of one's own, and the policy that leads there."""

    def __init__(self, url: str, journal: Journal, policy: Path) -> None:
        self.url, self.journal = url, journal
        self.policy = ("--policy", str(policy))

    @property
    def last(self) -> tuple[str, Any, Mapping[str, str]]:
        """Path, body and headers of the last request."""
        found = self.journal.requests[-1]
        return found["path"], found["body"], found["headers"]


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    app = create_sandbox()
    with in_thread(app) as url:
        policy = tmp_path / "policy.yaml"
        policy.write_text(
            "providers:\n"
            f"  anthropic: {{base_url: '{url}/anthropic'}}\n"
            f"  openai: {{base_url: '{url}/openai/v1', model: gpt-4.1}}\n"
            f"  gemini: {{base_url: '{url}/gemini', model: gemini-2.5-flash}}\n"
            f"  lost: {{dialect: openai_chat, base_url: '{url}/nowhere', api_key_env: [],\n"
            "    model: m}\n"
            f"  chats: {{dialect: openai_chat, api: chat, base_url: '{url}/openai/v1',\n"
            "    api_key_env: [], model: m}\n"
            "personas:\n"
            "  architect:\n"
            "    provider_preferences: [anthropic, openai, gemini, lost, chats]\n"
            "    system_prompt: You are an architect.\n"
            "  taster:\n"
            "    provider_preferences: [gemini, openai]\n",
            encoding="utf-8",
        )
        yield Asked(url, journal_of(app), policy)


def count_of(done: Done) -> dict[str, Any]:
    assert (done.status, done.err) == (0, "")
    return json.loads(done.out)


# As the vendors' SDKs ask


def test_claude_is_asked_as_its_sdk_asks(run: Run, asked: Asked, request_file: str) -> None:
    arguments = ("tokens", request_file, "--json", "--provider", "anthropic", *asked.policy)
    count = count_of(run(*arguments, env=KEYS))
    path, body, headers = asked.last
    assert body["system"][0]["text"] == "You are an architect."
    assert len(body["messages"]) == 3
    with anthropic.Anthropic(
        api_key="sk-2", base_url=f"{asked.url}/anthropic", max_retries=0
    ) as client:
        theirs = client.messages.count_tokens(**body)
        sent, sent_body, sent_headers = asked.last
        answer = cast("Message", client.messages.create(max_tokens=500, **body))
    assert (path, body) == (sent, sent_body)
    # The key goes where it goes with any request of ours, which the SDK does otherwise.
    assert headers["x-api-key"] == "sk-2"
    for name in ("anthropic-version", "content-type"):
        assert headers[name] == sent_headers[name]
    assert count == {
        "persona": "architect",
        "provider": "anthropic",
        "model": "claude-sonnet-5",
        "dialect": "anthropic_messages",
        "input_tokens": theirs.input_tokens,
        "passed_over": [],
    }
    assert answer.usage.input_tokens == count["input_tokens"]


def test_gpt_is_asked_as_its_sdk_asks(run: Run, asked: Asked, request_file: str) -> None:
    arguments = ("tokens", request_file, "--json", "--provider", "openai", *asked.policy)
    count = count_of(run(*arguments, env=KEYS))
    path, body, headers = asked.last
    with openai.OpenAI(api_key="sk-1", base_url=f"{asked.url}/openai/v1", max_retries=0) as client:
        theirs = client.responses.input_tokens.count(**body)
        sent, sent_body, sent_headers = asked.last
        answer = cast("Answer", client.responses.create(**body))
    assert (path, body) == (sent, sent_body)
    assert headers["authorization"] == sent_headers["authorization"]
    assert (count["dialect"], count["model"]) == ("openai_responses", "gpt-4.1")
    assert answer.usage is not None
    assert count["input_tokens"] == theirs.input_tokens == answer.usage.input_tokens


def test_gemini_is_asked_where_its_sdk_asks(run: Run, asked: Asked, request_file: str) -> None:
    """The SDK counts contents only, so that the rest of the body is held against an answer's."""
    arguments = ("tokens", request_file, "--json", "--provider", "gemini", *asked.policy)
    count = count_of(run(*arguments, env=KEYS))
    path, body, headers = asked.last
    whole = dict(body.pop("generateContentRequest"))
    assert body == {}
    assert whole.pop("model") == "models/gemini-2.5-flash"
    types.Content.model_validate(whole["systemInstruction"])
    assert {"contents", "tools", "generationConfig"} < set(whole)
    options: Any = {"base_url": f"{asked.url}/gemini", "api_version": "v1beta"}
    client: Any = genai.Client(api_key="sk-3", http_options=options)
    with client:
        contents: Any = [types.Content.model_validate(content) for content in whole["contents"]]
        less = client.models.count_tokens(model="gemini-2.5-flash", contents=contents)
    sent, _, sent_headers = asked.last
    assert path == sent
    assert headers["x-goog-api-key"] == sent_headers["x-goog-api-key"]
    assert (less.total_tokens or 0) < count["input_tokens"]
    answer = httpx.post(
        asked.url + path.replace("countTokens", "generateContent"),
        json=whole,
        headers={"x-goog-api-key": "k"},
    ).json()
    assert answer["usageMetadata"]["promptTokenCount"] == count["input_tokens"]


def test_nothing_but_the_count_is_asked(run: Run, asked: Asked, request_file: str) -> None:
    run("tokens", request_file, *asked.policy, env=KEYS)
    assert [found["path"] for found in asked.journal.requests] == [
        "/anthropic/v1/messages/count_tokens"
    ]


def test_the_prompt_that_was_counted_is_the_one_that_is_billed(
    run: Run, shipped: Proxy, request_file: str
) -> None:
    count = count_of(run("tokens", request_file, "--sandbox", "--json"))
    body = {**CHAT, "stream": False, "stream_options": None}
    answer = httpx.post(f"{shipped.url}/v1/chat/completions", json=body, timeout=20)
    assert answer.headers["x-ep-provider"] == count["provider"]
    assert answer.json()["usage"]["prompt_tokens"] == count["input_tokens"]


# The command


def test_the_table(run: Run, request_file: str) -> None:
    done = run("tokens", request_file, "--sandbox")
    assert (done.status, done.err) == (0, "")
    assert [line.split()[0] for line in done.out.splitlines()] == ["Persona", "Asked", "Prompt"]
    assert "anthropic, claude-sonnet-5 (anthropic_messages)" in done.out
    assert done.out.rstrip().endswith("tokens")


def test_another_persona_than_the_requests_own(run: Run, request_file: str) -> None:
    done = run("tokens", request_file, "--sandbox", "--persona", "reviewer_openai", "--json")
    count = count_of(done)
    assert (count["persona"], count["provider"]) == ("reviewer_openai", "openai")


def test_a_request_on_the_standard_input() -> None:
    text = json.dumps(CHAT)
    assert count_of(pipe("tokens", "-", "--sandbox", "--json", text=text))["input_tokens"] > 0


def test_a_longer_prompt_counts_more(run: Run, tmp_path: Path) -> None:
    counts: list[int] = []
    for words in (10, 1000):
        path = tmp_path / f"{words}.json"
        chat = {"model": "architect", "messages": [{"role": "user", "content": "so " * words}]}
        path.write_text(json.dumps(chat), encoding="utf-8")
        counts.append(count_of(run("tokens", str(path), "--sandbox", "--json"))["input_tokens"])
    assert counts[1] - counts[0] == 990


def test_a_provider_that_cannot_express_the_request_is_passed_over_and_named(
    run: Run, asked: Asked, tmp_path: Path
) -> None:
    """As the engine does it. What makes no prompt is nothing to Responses, which refuses it."""
    path = tmp_path / "biased.json"
    message = {"role": "user", "content": "Hi"}
    chat = {"model": "taster", "messages": [message], "logit_bias": {"1": 1}, "seed": 1}
    path.write_text(json.dumps(chat), encoding="utf-8")
    count = count_of(run("tokens", str(path), "--json", *asked.policy, env=KEYS))
    assert count["provider"] == "openai"
    ((over),) = count["passed_over"]
    assert over["provider"] == "gemini"
    assert "`logit_bias` cannot be sent" in over["reason"]
    assert asked.last[0] == "/openai/v1/responses/input_tokens"
    table = run("tokens", str(path), *asked.policy, env=KEYS).out
    assert "Passed over\n  gemini  `logit_bias`" in table
    done = run("tokens", str(path), "--provider", "gemini", *asked.policy, env=KEYS)
    assert (done.status, done.out) == (1, "")
    assert "`logit_bias` cannot be sent" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--provider", "antropic"], "Did you mean `anthropic`?"),
        (["--provider", "local"], "`architect` does not ask `local`. It would ask: `anthropic`"),
        (["--provider", "chats"], "`chats` cannot count tokens: Chat Completions has no endpoint"),
        (["--provider", "lost"], "(Asked at `/responses/input_tokens`, which not every server"),
        (["--persona", "nobody"], "nobody"),
    ],
)
def test_what_cannot_be_counted(
    run: Run, asked: Asked, tmp_path: Path, arguments: list[str], words: str
) -> None:
    path = tmp_path / "plain.json"
    path.write_text(json.dumps({**CHAT, "messages": [{"role": "user", "content": "Hi"}]}))
    done = run("tokens", str(path), *arguments, *asked.policy, env=KEYS)
    assert (done.status, done.out) == (1, "")
    assert words in done.err
    assert "Traceback" not in done.err


def test_a_provider_without_a_key_says_what_to_set(
    run: Run, asked: Asked, request_file: str
) -> None:
    env = {"OPENAI_API_KEY": "sk-1"}
    done = run("tokens", request_file, "--provider", "anthropic", *asked.policy, env=env)
    assert done.status == 1
    assert "`anthropic` cannot serve this request: no API key: set EP_ANTHROPIC" in done.err


def test_a_cloud_is_said_to_have_no_counts(run: Run, tmp_path: Path, request_file: str) -> None:
    policy = tmp_path / "cloud.yaml"
    policy.write_text(
        "providers:\n"
        "  foundry: {dialect: anthropic_messages, credentials: foundry, model: claude-opus-5-5,\n"
        "    base_url: 'http://127.0.0.1:9/anthropic', api_key_env: [FOUNDRY_KEY]}\n"
        "personas:\n  architect:\n    provider_preferences: [foundry]\n",
        encoding="utf-8",
    )
    env = {"FOUNDRY_KEY": "k"}
    done = run("tokens", request_file, "--policy", str(policy), env=env)
    assert done.status == 1
    assert "`foundry` is in a cloud, where tokens cannot be counted." in done.err


def test_a_refused_key_is_not_shown(run: Run, asked: Asked, request_file: str) -> None:
    env = {"ANTHROPIC_API_KEY": "sk-ant-invalid-9d1f"}
    done = run("tokens", request_file, *asked.policy, env=env)
    assert done.status == 1
    assert "refused the proxy's own credentials" in done.err
    assert "9d1f" not in done.err


@pytest.mark.parametrize("file", ["/no/such/file", "{tmp}/request.txt"])
def test_a_file_that_is_no_request(run: Run, tmp_path: Path, file: str) -> None:
    (tmp_path / "request.txt").write_bytes(b"\xff{")
    path = file.format(tmp=tmp_path)
    done = run("tokens", path, "--sandbox")
    assert (done.status, done.out) == (1, "")
    assert path in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>", "The count is not readable."),
        (b"[]", "The count is not readable."),
        (b"{}", "The count has no number in `input_tokens`."),
        (b'{"input_tokens": true}', "The count has no number in `input_tokens`."),
    ],
)
def test_an_answer_without_a_count(
    run: Run, tmp_path: Path, request_file: str, body: bytes, words: str
) -> None:
    async def answer(_: Request) -> Response:
        return Response(body, media_type="application/json")

    policy = tmp_path / "policy.yaml"
    with in_thread(Starlette(routes=[Route("/{p:path}", answer, methods=["POST"])])) as url:
        row = f"providers:\n  anthropic: {{base_url: '{url}'}}\n"
        policy.write_text(f"{row}  claude_agent: {{enabled: false}}\n", encoding="utf-8")
        done = run("tokens", request_file, "--policy", str(policy), env=KEYS)
    assert (done.status, done.out) == (1, "")
    assert words in done.err


def test_what_the_cli_would_send_is_counted_by_the_api_that_it_calls(
    run: Run, request_file: str
) -> None:
    whole = {"EP_POLICY": "", **KEYS}
    done = run("tokens", "--sandbox", "--provider", "claude_agent", request_file, env=whole)
    assert done.status == 0, done.err
    assert "claude_agent, claude-sonnet-5 (anthropic_messages)" in done.out
