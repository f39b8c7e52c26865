"""Error answers."""

import json
from typing import Any

import pytest

from tests.translators.error_answers import FOREIGN_BODIES, FOREIGN_STATUSES, check_foreign
from translators.errors import ProviderError
from translators.gemini_generate.errors import error_from_response

TYPE = "type.googleapis.com/google.rpc."


def retry_info(delay: Any) -> dict[str, Any]:
    return {"@type": TYPE + "RetryInfo", "retryDelay": delay}


def quota_failure(*ids: str) -> dict[str, Any]:
    return {"@type": TYPE + "QuotaFailure", "violations": [{"quotaId": id} for id in ids]}


def error_of(
    status: int, name: str | None, message: str = "No.", *details: Any, **headers: str
) -> ProviderError:
    error = {"code": status, "message": message, "status": name, "details": list(details)}
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return error_from_response(status, named, json.dumps({"error": error}).encode())


@pytest.mark.parametrize(
    ("status", "name", "kind", "hint", "openai_type", "code"),
    [
        (400, "INVALID_ARGUMENT", "invalid", 400, "invalid_request_error", None),
        (400, "FAILED_PRECONDITION", "invalid", 400, "invalid_request_error", None),
        (400, "OUT_OF_RANGE", "invalid", 400, "invalid_request_error", None),
        (401, "UNAUTHENTICATED", "auth", 502, "server_error", "upstream_authentication_failed"),
        (403, "PERMISSION_DENIED", "auth", 502, "server_error", "upstream_authentication_failed"),
        (408, "UNKNOWN", "timeout", 504, "timeout", "timeout"),
        (409, "ABORTED", "conflict", 409, "server_error", "conflict"),
        (413, "INVALID_ARGUMENT", "too_large", 413, "invalid_request_error", "request_too_large"),
        (429, "RESOURCE_EXHAUSTED", "rate_limit", 429, "rate_limit_error", "rate_limit_exceeded"),
        (499, "CANCELLED", "server", 502, "server_error", "upstream_error"),
        (500, "INTERNAL", "server", 502, "server_error", "upstream_error"),
        (500, "UNKNOWN", "server", 502, "server_error", "upstream_error"),
        (502, None, "server", 502, "server_error", "upstream_error"),
        (503, "UNAVAILABLE", "overloaded", 503, "service_unavailable_error", None),
        (504, "DEADLINE_EXCEEDED", "timeout", 504, "timeout", "timeout"),
        (418, "NEW_NAME", "invalid", 400, "invalid_request_error", None),
    ],
)
def test_row_72_status_and_name(
    status: int, name: str | None, kind: str, hint: int, openai_type: str, code: str | None
):
    error = error_of(status, name)
    assert (error.kind, error.status_hint, error.type) == (kind, hint, openai_type)
    if code is not None:
        assert error.code == code
    assert (error.status, error.native_type) == (status, name)
    assert error.should_retry is (False if status == 499 else None)


@pytest.mark.parametrize(
    "message",
    [
        "The input token count (1048579) exceeds the maximum number of tokens allowed (1048576).",
        "Input token count exceeds the limit",
        "The request exceeds the model's context window.",
    ],
)
def test_row_96_too_long_a_prompt_has_openais_code(message: str):
    assert error_of(400, "INVALID_ARGUMENT", message).code == "context_length_exceeded"


def test_row_96_unknown_model_has_openais_code_and_a_hint():
    error = error_of(404, "NOT_FOUND", "models/gemini-x is not found for API version v1")
    assert (error.status_hint, error.code) == (404, "model_not_found")
    assert "v1beta" in error.message
    other = error_of(404, "NOT_FOUND", "File abc not found.")
    assert (other.code, other.message) == ("not_found", "File abc not found.")


@pytest.mark.parametrize(
    ("message", "details"),
    [
        ("API key not valid. Please pass a valid API key.", ()),
        ("API key expired. Please renew the API key.", ()),
        ("Bad.", ({"@type": TYPE + "ErrorInfo", "reason": "API_KEY_INVALID"},)),
    ],
)
def test_refused_key_is_our_fault_although_it_is_a_400(message: str, details: tuple[Any, ...]):
    error = error_of(400, "INVALID_ARGUMENT", message, *details)
    assert (error.kind, error.status_hint) == ("auth", 502)


@pytest.mark.parametrize(
    ("message", "kind", "code"),
    [
        (
            "User location is not supported for the API use.",
            "auth",
            "unsupported_country_region_territory",
        ),
        ("Please enable billing on the project.", "quota", "billing_not_active"),
        ("The cached content is of another model.", "invalid", None),
    ],
)
def test_failed_preconditions(message: str, kind: str, code: str | None):
    error = error_of(400, "FAILED_PRECONDITION", message)
    assert (error.kind, error.code) == (kind, code)


@pytest.mark.parametrize(
    ("message", "details", "kind"),
    [
        ("Quota exceeded.", (quota_failure("GenerateRequestsPerMinutePerProject"),), "rate_limit"),
        ("Quota exceeded.", (quota_failure("GenerateRequestsPerDayPerProjectPerModel"),), "quota"),
        ("Quota exceeded for metric x, limit: 0, model: y", (), "quota"),
        ("Quota exceeded for metric x, limit: 01", (), "rate_limit"),
        ("Quota exceeded for metric x, limit: 20", (), "rate_limit"),
        ("Quota exceeded.", (retry_info("50s"),), "rate_limit"),
        ("Quota exceeded.", (retry_info("40000s"),), "quota"),
    ],
)
def test_row_72_quota_or_rate_limit(message: str, details: tuple[Any, ...], kind: str):
    error = error_of(429, "RESOURCE_EXHAUSTED", message, *details)
    assert (error.kind, error.status_hint) == (kind, 429)


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("34.4s", 35.0), ("46s", 46.0), ("0.01s", 1.0), ("0s", None), ("soon", None), ("nans", None)],
)
def test_row_97_retry_info_becomes_retry_after_rounded_up(delay: str, seconds: float | None):
    assert error_of(429, "RESOURCE_EXHAUSTED", "No.", retry_info(delay)).retry_after == seconds


def test_row_97_a_header_goes_before_the_details():
    error = error_of(429, "RESOURCE_EXHAUSTED", "No.", retry_info("46s"), retry_after="3")
    assert error.retry_after == 3.0


@pytest.mark.parametrize(
    "details", [None, "x", {}, [7], [{"@type": 7}], [{"violations": 7}], [retry_info(7)]]
)
def test_details_of_another_form_are_ignored(details: Any):
    body = json.dumps({"error": {"code": 503, "status": "UNAVAILABLE", "details": details}})
    error = error_from_response(503, {}, body.encode())
    assert error.kind == "overloaded"
    assert error.message


@pytest.mark.parametrize("form", ["[%s]", "data: %s\r\n\r\n", " %s "])
def test_wrapped_error_is_read(form: str):
    error = {"error": {"code": 400, "message": "Bad.", "status": "INVALID_ARGUMENT"}}
    body = (form % json.dumps(error)).encode()
    found = error_from_response(400, {"x-request-id": "r"}, body)
    assert (found.message, found.native_type) == ("Bad.", "INVALID_ARGUMENT")
    assert found.request_id == "r"


@pytest.mark.parametrize("body", FOREIGN_BODIES)
@pytest.mark.parametrize(("status", "kind"), FOREIGN_STATUSES)
def test_foreign_body_is_told_by_its_status(body: bytes, status: int, kind: str):
    check_foreign(error_from_response(status, {}, body), status, kind)
