"""`chat`: piped and in a terminal, in this process and against a server."""

from pathlib import Path

import pytest

from tests.cli.command import Terminal, pipe
from tests.serving import Proxy


def test_piped_lines_are_answered_one_by_one():
    done = pipe("chat", "architect", "--sandbox", text="first\n\n  \nsecond\n")
    assert (done.status, done.err) == (0, "")
    assert done.out.index("> first") < done.out.index("> second")
    assert done.out.count("Sandbox answer from claude-sonnet-5") == 2
    assert "You talk to" not in done.out


def test_the_last_line_needs_no_line_feed_and_exit_ends_it():
    assert "> only" in pipe("chat", "architect", "--sandbox", text="only").out
    assert "> late" not in pipe("chat", "architect", "--sandbox", text="/exit\nlate\n").out
    done = pipe("chat", "architect", "--sandbox", text="")
    assert (done.status, done.out, done.err) == (0, "", "")


def test_a_refusal_is_shown():
    done = pipe("chat", "architect_openai", "--sandbox", text="[sandbox refuse]\n")
    assert done.status == 0
    assert "I can't help with that" in done.out


def test_an_error_is_a_line_and_a_status_and_the_conversation_goes_on():
    done = pipe("chat", "architect", "--sandbox", text="[sandbox fail=400]\nafter\n")
    assert done.status == 1
    assert "told to refuse" in done.err
    assert "Traceback" not in done.err
    assert "> after" in done.out


def test_an_answer_that_breaks_off_is_an_error():
    text = "[sandbox words=40 cut=12]\n"
    done = pipe("chat", "architect_openai", "--sandbox", text=text)
    assert done.status == 1
    assert done.out.strip()
    assert done.err.startswith("\n[")


def test_an_unknown_persona():
    done = pipe("chat", "archtect", "--sandbox", text="Hi\n")
    assert done.status == 1
    assert "[model_not_found]" in done.err
    assert "Did you mean `architect`" in done.err


def test_without_a_provider_it_says_what_to_set():
    done = pipe("chat", "architect_openai", text="Hi\n")
    assert done.status == 1
    assert "OPENAI_API_KEY" in done.err


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_against_a_running_server(shipped: Proxy, suffix: str):
    done = pipe("chat", "architect", "--url", shipped.url + suffix, text="over there\n")
    assert (done.status, done.err) == (0, "")
    assert "> over there" in done.out


def test_the_conversation_so_far_is_sent_along(shipped: Proxy, tmp_path: Path):
    # The sandbox counts what it is sent: a longer conversation costs more tokens.
    text = "one\ntwo\n"
    pipe("chat", "architect", "--url", shipped.url, text=text)
    before, after = [line for line in shipped.decisions() if line["model"] == "architect"][-2:]
    assert after["usage"]["prompt_tokens"] > before["usage"]["prompt_tokens"] + 20


def test_errors_of_a_running_server_are_shown(shipped: Proxy):
    for text, said in (
        ("[sandbox fail=429 retry_after=60]\n", "[rate_limit_exceeded]"),
        ("[sandbox words=40 error=12]\n", "["),
    ):
        done = pipe("chat", "architect_openai", "--url", shipped.url, text=text)
        assert done.status == 1
        assert said in done.err


def test_the_client_key_is_read_from_the_environment():
    with Proxy("--sandbox", env={"EP_CLIENT_KEYS": "right"}) as server:
        arguments = ("chat", "architect", "--url", server.url)
        done = pipe(*arguments, text="Hi\n", env={"EP_API_KEY": "right"})
        assert (done.status, done.err) == (0, "")
        done = pipe(*arguments, text="Hi\n", env={"EP_API_KEY": "canary"})
        assert done.status == 1
        assert "Incorrect API key" in done.err
        assert "canary" not in done.err


def test_a_server_that_is_not_there_is_said_with_a_remedy():
    done = pipe("chat", "architect", "--url", "http://127.0.0.1:9", text="Hi\n")
    assert done.status == 1
    assert "http://127.0.0.1:9" in done.err
    assert "cannot be reached" in done.err
    assert "execution-platform serve" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("url", ["nonsense", "http://", "ftp://x"])
def test_a_url_that_is_none_is_an_error_and_no_traceback(url: str):
    done = pipe("chat", "architect", "--url", url, text="Hi\n")
    assert done.status == 1
    assert "Traceback" not in done.err


def test_in_a_terminal_it_prompts_and_answers(tmp_path: Path):
    with Terminal("chat", "architect", "--sandbox", cwd=tmp_path) as terminal:
        terminal.expect("You talk to `architect`. /exit or Ctrl-D ends it.")
        terminal.expect("\n> ")
        terminal.type("hello there\n")
        terminal.expect("No model was asked")
        terminal.type("\x04")
        assert terminal.wait() == 0


def test_in_a_terminal_errors_do_not_end_it(tmp_path: Path):
    with Terminal("chat", "architect", "--sandbox", cwd=tmp_path) as terminal:
        terminal.type("[sandbox fail=400]\n")
        terminal.expect("told to refuse")
        terminal.type("go on\n")
        terminal.expect("No model was asked")
        terminal.type("/exit\n")
        assert terminal.wait() == 0


@pytest.mark.parametrize("said", ["", "[sandbox words=500 gap=0.2]\n"])
def test_in_a_terminal_control_c_ends_it_at_once(tmp_path: Path, said: str):
    with Terminal("chat", "architect", "--sandbox", cwd=tmp_path) as terminal:
        terminal.expect("\n> ")
        terminal.type(said)
        if said:
            terminal.expect("word by word")
        terminal.type("\x03")
        assert terminal.wait() == 130
        assert "Traceback" not in terminal.seen
