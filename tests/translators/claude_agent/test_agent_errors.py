"""The results of the CLI that are no answers, as they were seen."""

from typing import Any

import pytest

from translators.claude_agent.errors import error_from_result


def result(text: str | None = None, status: int | None = None, **more: Any) -> dict[str, Any]:
    return {
        "subtype": "success",
        "is_error": True,
        "api_error_status": status,
        "result": text,
        **more,
    }


@pytest.mark.parametrize(
    ("text", "status", "kind", "code"),
    [
        ("API Error: 400 bad thing", 400, "invalid", None),
        ("Prompt is too long", 400, "invalid", "context_length_exceeded"),
        ("API Error: 400 Your credit balance is too low", 400, "quota", "insufficient_quota"),
        ("Invalid API key", 401, "auth", "upstream_authentication_failed"),
        ("API Error: 403 no", 403, "auth", "upstream_authentication_failed"),
        ("There's an issue with the model", 404, "not_found", "model_not_found"),
        ("API Error: 404 no such path", 404, "not_found", "not_found"),
        ("API Error: 413 large", 413, "too_large", "request_too_large"),
        ("API Error: 429 slow down", 429, "rate_limit", "rate_limit_exceeded"),
        ("API Error: 500 oops", 500, "server", "upstream_error"),
        ("API Error: 504 late", 504, "timeout", "timeout"),
        ("API Error: 529 Overloaded", 529, "overloaded", "server_is_overloaded"),
        ("API Error: 418 odd", 418, "invalid", None),
    ],
)
def test_a_status_decides(text: str, status: int, kind: str, code: str | None):
    error = error_from_result(result(text, status))
    assert (error.kind, error.status, error.code) == (kind, status, code)
    assert not error.message.startswith("API Error")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Not logged in · Please run /login", "auth"),
        ("API Error: Unable to connect to API (ECONNREFUSED)", "network"),
        ("API Error: Request timed out.", "timeout"),
        ("API Error: Connection error.", "network"),
        ("API Error: Overloaded", "overloaded"),
        ("Something else", "server"),
    ],
)
def test_without_a_status_the_text_decides(text: str, kind: str):
    error = error_from_result(result(text))
    assert (error.kind, error.status) == (kind, None)


def test_an_end_without_a_word_is_an_error_too():
    error = error_from_result(result(subtype="error_max_turns", is_error=False))
    assert (error.kind, error.native_type) == ("server", "error_max_turns")
    assert error.message == "The Claude CLI ended without an answer."


def test_the_errors_of_a_run_are_told():
    error = error_from_result(result(errors=["first", "second"]))
    assert error.message == "first; second"


@pytest.mark.parametrize(
    ("text", "status", "message"),
    [
        ("API Error: 400 bad thing", 400, "bad thing"),
        ("Request rejected (429) · Slow down.", 429, "Slow down."),
        (
            "API Error: 529 Overloaded. This is a server-side issue, usually temporary — try again "
            "in a moment. If it persists, check your inference gateway (127.0.0.1:1).",
            529,
            "Overloaded.",
        ),
        (
            "API Error: Connection to the API was lost (ECONNRESET). This is usually temporary — "
            "try again.",
            None,
            "Connection to the API was lost (ECONNRESET).",
        ),
        ("API Error: 500", 500, "API Error: 500"),
    ],
)
def test_only_the_apis_own_words_are_told(text: str, status: int | None, message: str):
    assert error_from_result(result(text, status)).message == message


def test_a_prompt_that_the_cli_finds_too_long_is_the_clients():
    error = error_from_result(
        {"is_error": True, "result": "Prompt is too long", "terminal_reason": "blocking_limit"}
    )
    assert (error.kind, error.code) == ("invalid", "context_length_exceeded")
    assert error.status_hint == 400
