"""`explain --request-id`: what became of a request that a running server has served."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.command import Done, pipe
from tests.http.wire import CHAT, body_of, unique
from tests.providers import UPSTREAM_KEY, standard_policy
from tests.serving import Proxy, SandboxProcess, wait_until

Run = Callable[..., Done]
ONE, TWO = "ep-one-3f81", "ep-two-77aa"
ENV = {"EP_CLIENT_KEYS": f"{ONE},{TWO}", "UPSTREAM_KEY": UPSTREAM_KEY}


@pytest.fixture(scope="module")
def guarded(providers: SandboxProcess) -> Iterator[Proxy]:
    with Proxy(env=ENV, policy=standard_policy(providers)) as server:
        yield server


def served(server: Proxy, persona: str, text: Any = "Hi", **more: Any) -> str:
    """Ask, and wait until the record is there; return the request's id."""
    id = unique()
    headers = {"authorization": f"Bearer {ONE}", "x-request-id": id}
    with httpx.Client(trust_env=False, verify=False, timeout=30) as client:
        client.post(f"{server.url}{CHAT}", json=body_of(persona, text, **more), headers=headers)
        url = f"{server.url}/v1/ep/decisions/{id}"
        wait_until(lambda: client.get(url, headers=headers).json()["state"] == "over")
    return id


def explained(run: Run, server: Proxy, id: str, *more: str, key: str = ONE) -> Done:
    return run("explain", "--url", server.url, "--request-id", id, *more, env={"EP_API_KEY": key})


def test_a_fallback_is_told_readably(run: Run, guarded: Proxy):
    id = served(guarded, "anthropic_first", "[sandbox provider=anthropic fail=529]", seed=4)
    done = explained(run, guarded, id)
    assert (done.status, done.err) == (0, "")
    assert f"Request   {id}" in done.out
    assert "Persona   anthropic_first" in done.out
    assert "Key       key 1" in done.out
    assert "Outcome   status 200, completed, finish reason stop" in done.out
    assert "Provider  openai/gpt-4.1, answered by gpt-4.1" in done.out
    assert (
        "Candidates, in the order of preference\n  anthropic  claude-sonnet-4-6  failed" in done.out
    )
    assert "  openai     gpt-4.1            answered" in done.out
    first, second = [line for line in done.out.splitlines() if line.startswith(("  1 ", "  2 "))]
    assert first.split()[:4] == [
        "1",
        "initial",
        "anthropic/claude-sonnet-4-6",
        "anthropic_messages",
    ]
    assert "529  upstream_error, overloaded, overloaded_error" in first
    assert "200  completed, first chunk after" in second
    assert "of the prompt" in done.out
    # With `/v1`, as SDKs have it, it is the same server.
    assert run(
        *("explain", "--url", f"{guarded.url}/v1", "--request-id", id), env={"EP_API_KEY": ONE}
    ).out.startswith(f"Request   {id}")


def test_what_is_ignored_and_who_was_passed_over(run: Run, guarded: Proxy):
    done = explained(run, guarded, served(guarded, "anthropic_only", seed=4, n=2))
    assert "Not carried over as it stood\n  ignored   seed\n  emulated  n" in done.out
    part = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
    done = explained(run, guarded, served(guarded, "anthropic_only", [part]))
    assert "Error    NoProvider, no_provider" in done.out
    assert "rejected  missing_capabilities: it lacks `audio`" in done.out
    assert "The request needs\n" in done.out


def test_a_refusal(run: Run, guarded: Proxy):
    done = explained(run, guarded, served(guarded, "anthropic_only", n="many"))
    assert "unknown: the request could not be read" in done.out
    assert "Outcome  status 400, refused before it was read" in done.out


def test_the_document_itself(run: Run, guarded: Proxy):
    id = served(guarded, "openai_only")
    done = explained(run, guarded, id, "--json")
    assert json.loads(done.out)["request_id"] == id


def test_another_key_and_an_unknown_id_are_told_what_the_server_says(run: Run, guarded: Proxy):
    id = served(guarded, "openai_only")
    for done in (explained(run, guarded, id, key=TWO), explained(run, guarded, "a b/../\u2028?x")):
        assert (done.status, done.out) == (1, "")
        assert "No request of this client key is known under the id" in done.err
    assert "Incorrect API key" in explained(run, guarded, id, key="wrong").err


def test_the_key_is_read_from_the_env_file_too(guarded: Proxy, tmp_path: Path):
    (tmp_path / ".env").write_text(f"EP_API_KEY={ONE}\n")
    id = served(guarded, "openai_only")
    done = pipe("explain", "--url", guarded.url, "--request-id", id, cwd=tmp_path)
    assert (done.status, done.err) == (0, "")
    assert id in done.out


def test_a_server_that_is_none_of_ours(run: Run, providers: SandboxProcess):
    done = run("explain", "--url", providers.url, "--request-id", "x")
    assert (done.status, done.out) == (1, "")
    assert "none of ours" in done.err
    done = run("explain", "--url", "http://127.0.0.1:9", "--request-id", "x")
    assert (done.status, done.out) == (1, "")
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a persona, or a request"),
        (("--request-id", "x"), "needs the server"),
        (("architect", "--url", "http://x", "--request-id", "x"), "leave the persona"),
        (("--request", "f", "--url", "http://x", "--request-id", "x"), "leave the persona"),
        (("architect", "--json"), "goes with --request-id"),
    ],
)
def test_options_that_do_not_go_together(
    run: Run, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        run("explain", *arguments)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert said in told
    assert "usage: execution-platform explain" in told


def test_the_help_says_where_the_id_is(run: Run, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        run("explain", "--help")
    told = capsys.readouterr().out
    assert "x-request-id" in told
    assert "--request-id ID" in told
    assert "each replica knows its own" in told
