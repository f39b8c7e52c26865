"""`check`, `personas` and `explain`: they say what would happen, and call nobody."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import Done, pipe

Run = Callable[..., Done]

KEYS = {"OPENAI_API_KEY": "sk-canary-1", "ANTHROPIC_API_KEY": "sk-canary-2"}
PERSONAS = (
    "architect",
    "code_writer",
    "reviewer",
    "qa_engineer",
    "architect_openai",
    "code_writer_openai",
    "reviewer_openai",
)


def line_of(done: Done, word: str) -> str:
    (line,) = [line for line in done.out.splitlines() if line.split()[:1] == [word]]
    return line


# check


def test_check_with_keys_says_who_serves_whom(run: Run):
    done = run("check", env=KEYS)
    assert (done.status, done.err) == (0, "")
    assert "anthropic (claude-sonnet-5), then openai" in line_of(done, "architect")
    assert "openai (gpt-5.2), then anthropic" in line_of(done, "qa_engineer")
    assert "ok" in line_of(done, "openai")
    assert "unavailable" in line_of(done, "gemini")
    assert "canary" not in done.out


def test_check_without_keys_says_what_to_set_and_fails(run: Run):
    done = run("check")
    assert done.status == 1
    assert "set EP_OPENAI_API_KEY or OPENAI_API_KEY" in line_of(done, "openai")
    for persona in PERSONAS:
        assert "NOBODY" in line_of(done, persona)
        assert "`openai` (gpt-5.2): no API key" in line_of(done, persona)
    assert "serve --sandbox" in done.out


def test_check_of_the_sandbox_does_not_send_one_to_the_sandbox(run: Run, tmp_path: Path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("personas: {seer: {requires: [video], provider_preferences: [anthropic]}}")
    done = run("check", "--sandbox", "--policy", str(policy))
    assert done.status == 1
    assert "NOBODY" in line_of(done, "seer")
    assert "serve --sandbox" not in done.out


def test_check_with_one_key_passes_over_the_others(run: Run):
    done = run("check", env={"EP_OPENAI_API_KEY": "x"})
    assert done.status == 0
    assert "not anthropic: no API key" in line_of(done, "architect")


def test_check_of_the_sandbox_needs_no_key_and_names_no_address(run: Run):
    done = run("check", "--sandbox")
    assert done.status == 0
    assert "NOBODY" not in done.out
    assert "https://" not in done.out
    assert "simulated" in line_of(done, "openai")


def test_check_says_who_may_ask_and_whether_traces_leave(run: Run):
    plain = run("check", "--sandbox")
    assert "anybody may ask" in plain.out
    assert "tracing    off" in plain.out
    env = {"EP_CLIENT_KEYS": "canary-key", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    guarded = run("check", "--sandbox", env=env)
    assert "client keys are required" in guarded.out
    assert "tracing    on" in guarded.out
    assert "canary" not in guarded.out + guarded.err


def test_check_of_ones_own_policy(run: Run, tmp_path: Path):
    policy = tmp_path / "mine.yaml"
    policy.write_text("personas:\n  poet:\n    provider_preferences: [local]\n")
    done = run("check", "--policy", str(policy))
    assert done.status == 0
    assert str(policy) in done.out
    assert "local (qwen3)" in line_of(done, "poet")
    assert run("check", env={"EP_POLICY": str(policy)}).out == done.out


def test_variables_of_the_env_file_count(tmp_path: Path):
    (tmp_path / ".env").write_text("OPENAI_API_KEY=canary\nEP_PORT=9123\n")
    done = pipe("check", cwd=tmp_path)
    assert done.status == 0
    assert "127.0.0.1:9123" in done.out
    assert "canary" not in done.out


# personas


def test_personas_are_listed_with_who_may_serve_them(run: Run):
    done = run("personas")
    assert done.status == 0
    assert [line.split()[0] for line in done.out.splitlines()] == ["PERSONA", *PERSONAS]
    assert "claude_agent, anthropic, openai, gemini" in line_of(done, "architect")
    assert "Designs systems" in line_of(done, "architect")


def test_a_preference_with_a_model_shows_it(run: Run, tmp_path: Path):
    policy = tmp_path / "p.yaml"
    preference = "{provider: openai, model: gpt-9}"
    policy.write_text(f"personas:\n  a:\n    provider_preferences: [{preference}]\n")
    assert "openai/gpt-9" in run("personas", "--policy", str(policy)).out


# explain


def test_explain_says_where_a_request_would_go_and_why(run: Run):
    done = run("explain", "architect", "--sandbox")
    assert (done.status, done.err) == (0, "")
    assert "Chosen     anthropic" in done.out
    assert "system_prompts  the persona requires it" in done.out
    assert "1  anthropic  claude-sonnet-5" in done.out
    assert "2  openai" in done.out
    assert "Passed over" in done.out
    assert "1 system message" in done.out


REQUEST = {
    "messages": [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y"}}]}
    ],
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "x_big": 10**30,
}


def test_explain_reads_a_request_from_a_file(run: Run, tmp_path: Path):
    path = tmp_path / "request.json"
    path.write_text(json.dumps(REQUEST))
    done = run("explain", "qa_engineer", "--sandbox", "--request", str(path))
    assert done.status == 0
    assert "vision" in done.out
    assert "tool_calling" in done.out
    assert "Chosen     openai" in done.out


def test_explain_reads_a_request_from_standard_input():
    text = json.dumps({**REQUEST, "model": "ignored"})
    done = pipe("explain", "qa_engineer", "--sandbox", "--request", "-", text=text)
    assert done.status == 0
    assert "Persona    qa_engineer" in done.out
    assert "vision" in done.out


def test_explain_shows_parameters_that_the_persona_adds(run: Run, tmp_path: Path):
    policy = tmp_path / "p.yaml"
    policy.write_text(
        "personas:\n  a:\n    provider_preferences: [local]\n    system_prompt: Be brief.\n"
        "    parameters: {top_p: 0.5}\n"
    )
    done = run("explain", "a", "--policy", str(policy))
    assert done.status == 0
    assert "top_p: 0.5" in done.out
    assert "Be brief" not in done.out


@pytest.mark.parametrize("more", [[], ["--request-id", "my-1"]])
def test_explain_says_that_the_server_does_not_run(run: Run, more: list[str]):
    asked = ["--url", "http://127.0.0.1:9/v1", *(more or ["architect"])]
    done = run("explain", *asked, env={"EP_SANDBOX": "true"})
    assert done.status == 1
    assert "The server at 127.0.0.1:9 cannot be reached: Connection refused. Is it" in done.err


def test_explain_says_what_live_gates_do_in_a_running_server(run: Run, tmp_path: Path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("live_gates: {window: 90, cooldown: 45}\n")
    done = run("explain", "architect", "--sandbox", "--policy", str(policy))
    assert done.status == 0
    assert "Live gates are on" in done.out
    assert "success_rate >= 90 %, over 90 s and from 20 attempts on" in done.out
    assert "`--url` asks a running server" in done.out
    assert "Live gates" not in run("explain", "architect", "--sandbox").out


def test_explain_of_an_unknown_persona_lists_near_names(run: Run):
    done = run("explain", "archtect", "--sandbox")
    assert done.status == 1
    assert "Did you mean `architect`" in done.err
    assert done.out == ""


def test_explain_where_nobody_can_serve(run: Run):
    done = run("explain", "architect")
    assert done.status == 1
    assert "it would be refused with status 503" in done.out
    assert "No provider satisfies requirements for persona 'architect'" in done.out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("{", "not a JSON object"),
        ("{}", "Missing required parameter: 'messages'"),
        ('{"messages": [], "n": "x"}', "Invalid value for"),
    ],
)
def test_explain_of_a_wrong_request(text: str, said: str):
    done = pipe("explain", "architect", "--sandbox", "--request", "-", text=text)
    assert done.status == 1
    assert said in done.err
    assert "configuration" not in done.err
    assert "Traceback" not in done.err


def test_explain_of_a_file_that_is_not_there(run: Run):
    done = run("explain", "architect", "--sandbox", "--request", "/no/such/file")
    assert (done.status, done.out) == (1, "")
    assert "--request /no/such/file: No such file or directory" in done.err
