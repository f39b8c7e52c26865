"""Error answers."""

import json
from typing import Any

import pytest

from tests.translators.error_answers import FOREIGN_BODIES, FOREIGN_STATUSES, check_foreign
from translators.anthropic_messages.errors import error_from_response
from translators.errors import ProviderError


def error_of(
    status: int, type: str | None, message: str = "No.", code: str | None = None, **headers: str
) -> ProviderError:
    detail: dict[str, Any] = {"type": type, "message": message}
    if code is not None:
        detail["details"] = {"error_code": code}
    body = {"type": "error", "error": detail, "request_id": "req_body"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return error_from_response(status, named, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("status", "type", "kind", "hint", "openai_type", "code"),
    [
        (400, "invalid_request_error", "invalid", 400, "invalid_request_error", None),
        (
            401,
            "authentication_error",
            "auth",
            502,
            "server_error",
            "upstream_authentication_failed",
        ),
        (402, "billing_error", "quota", 429, "insufficient_quota", "billing_not_active"),
        (403, "permission_error", "auth", 502, "server_error", "upstream_authentication_failed"),
        (408, "timeout_error", "timeout", 504, "timeout", "timeout"),
        (409, "conflict_error", "conflict", 409, "server_error", "conflict"),
        (413, "request_too_large", "too_large", 413, "invalid_request_error", "request_too_large"),
        (413, "invalid_request_error", "too_large", 413, "invalid_request_error", None),
        (422, "invalid_request_error", "invalid", 400, "invalid_request_error", None),
        (429, "rate_limit_error", "rate_limit", 429, "rate_limit_error", "rate_limit_exceeded"),
        (500, "api_error", "server", 502, "server_error", "upstream_error"),
        (503, "api_error", "overloaded", 503, "service_unavailable_error", None),
        (504, "timeout_error", "timeout", 504, "timeout", "timeout"),
        (529, "overloaded_error", "overloaded", 503, "service_unavailable_error", None),
        (418, "new_error", "invalid", 400, "invalid_request_error", None),
        (599, "new_error", "server", 502, "server_error", "upstream_error"),
    ],
)
def test_row_72_status_and_type(
    status: int, type: str, kind: str, hint: int, openai_type: str, code: str | None
):
    error = error_of(status, type)
    assert (error.kind, error.status_hint, error.type) == (kind, hint, openai_type)
    if code is not None:
        assert error.code == code
    assert (error.status, error.native_type) == (status, type)
    assert (error.message == "No.") == (kind != "auth")


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 3333404 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 199000 + 20000 > 200000",
    ],
)
def test_row_96_too_long_a_prompt_has_openais_code(message: str):
    assert error_of(400, "invalid_request_error", message).code == "context_length_exceeded"


def test_row_96_unknown_model_has_openais_code():
    error = error_of(404, "not_found_error", "model: claude-none")
    assert (error.status_hint, error.code) == (404, "model_not_found")
    assert error_of(404, "not_found_error", "File not found: file_1").code == "not_found"


@pytest.mark.parametrize(
    ("status", "type", "message", "code"),
    [
        (400, "invalid_request_error", "Your credit balance is too low to access the API.", None),
        (400, "invalid_request_error", "You have reached your specified API usage limits.", None),
        (429, "billing_error", "Pay.", None),
        (429, "rate_limit_error", "Limit.", "contract_spend_limit_reached"),
        (429, "rate_limit_error", "Limit.", "enforced_spend_limit_reached"),
    ],
    ids=["credit", "limits", "billing", "contract", "enforced"],
)
def test_row_72_quota_in_its_variants(status: int, type: str, message: str, code: str | None):
    error = error_of(status, type, message, code)
    expected = "billing_not_active" if type == "billing_error" else "insufficient_quota"
    assert (error.kind, error.status_hint, error.code) == ("quota", 429, expected)


def test_finer_codes():
    assert error_of(429, "rate_limit_error", code="ramp_limit_exceeded").code == "slow_down"
    assert error_of(400, "invalid_request_error", code="tool_name_conflict").code == (
        "tool_name_conflict"
    )
    too_large = "request_body_too_large_after_decoding"
    assert error_of(400, "invalid_request_error", code=too_large).kind == "too_large"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "12"}, 12.0),
        ({"retry_after_ms": "1500", "retry_after": "9"}, 1.5),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-1"}, None),
        ({}, None),
    ],
)
def test_row_97_retry_after(headers: dict[str, str], seconds: float | None):
    assert error_of(429, "rate_limit_error", **headers).retry_after == seconds


@pytest.mark.parametrize(
    ("value", "expected"), [("true", True), ("false", False), ("perhaps", None)]
)
def test_x_should_retry(value: str, expected: bool | None):
    assert error_of(500, "api_error", x_should_retry=value).should_retry is expected


def test_request_id_is_the_headers_or_the_bodys():
    assert error_of(500, "api_error").request_id == "req_body"
    assert error_of(500, "api_error", request_id="req_head").request_id == "req_head"


@pytest.mark.parametrize("body", FOREIGN_BODIES)
@pytest.mark.parametrize(("status", "kind"), FOREIGN_STATUSES)
def test_foreign_body_is_told_by_its_status(body: bytes, status: int, kind: str):
    error = error_from_response(status, {"request-id": "r"}, body)
    check_foreign(error, status, kind)
    assert error.request_id == "r"


@pytest.mark.parametrize("details", [None, [], "x", {"error_code": 7}, {}])
def test_details_of_another_form_are_ignored(details: Any):
    detail = {"type": "api_error", "message": None, "details": details}
    body = json.dumps({"type": "error", "error": detail}).encode()
    error = error_from_response(500, {}, body)
    assert error.kind == "server"
    assert error.message
