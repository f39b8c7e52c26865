"""Error answers of OpenAI and of servers like it: what happened, and what the client is told."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.errors import ErrorKind, ProviderError
from translators.openai_chat.errors import error_from_object, error_from_response


def error_of(status: int, body: Any = None, headers: dict[str, str] | None = None) -> ProviderError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_from_response(status, headers or {}, raw)


def openai_error(**fields: Any) -> dict[str, Any]:
    return {"error": {"message": "It failed.", "type": None, "param": None, "code": None, **fields}}


def test_openais_object_is_carried_over():
    body = openai_error(type="invalid_request_error", param="messages", code="string_above_max")
    error = error_of(400, body, {"x-request-id": "req_9"})
    assert (error.kind, error.status, error.status_hint) == ("invalid", 400, 400)
    assert error.to_wire()["error"] == {
        "message": "It failed.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "string_above_max",
    }
    assert (error.native_type, error.request_id) == ("invalid_request_error", "req_9")


STATUSES: list[tuple[int, ErrorKind]] = [
    (400, "invalid"), (401, "auth"), (402, "quota"), (403, "auth"),
    (405, "invalid"), (408, "timeout"), (409, "conflict"),
    (413, "too_large"), (415, "invalid"), (418, "invalid"), (422, "invalid"),
    (429, "rate_limit"), (500, "server"), (501, "server"), (502, "server"),
    (503, "overloaded"), (504, "timeout"), (520, "server"), (529, "overloaded"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "kind"), STATUSES)
def test_row_72_a_status_alone_says_what_happened(status: int, kind: ErrorKind):
    for body in (b"", openai_error(), {}):
        assert error_of(status, body).kind == kind


@pytest.mark.parametrize(
    ("status", "code", "type", "kind"),
    [
        (429, "insufficient_quota", "insufficient_quota", "quota"),
        (429, None, "insufficient_quota", "quota"),
        (429, "credit_balance_exhausted", "billing", "quota"),
        (429, "billing_not_active", None, "quota"),
        (429, "rate_limit_exceeded", "tokens", "rate_limit"),
        (429, "rate_limit_exceeded", "requests", "rate_limit"),
        (429, "slow_down", None, "rate_limit"),
        (429, None, "overloaded_error", "overloaded"),
        (500, "server_is_overloaded", "server_error", "overloaded"),
        (503, "slow_down", "server_error", "overloaded"),
        (500, "rate_limit_exceeded", None, "rate_limit"),
        (401, "invalid_api_key", "invalid_request_error", "auth"),
        (400, "context_length_exceeded", "invalid_request_error", "invalid"),
        (404, "model_not_found", "invalid_request_error", "not_found"),
    ],
)
def test_quota_rate_limit_and_overload_are_told_apart(
    status: int, code: str | None, type: str | None, kind: ErrorKind
):
    assert error_of(status, openai_error(code=code, type=type)).kind == kind


def test_row_96_openais_codes_reach_the_client():
    body = openai_error(code="context_length_exceeded", type="invalid_request_error")
    assert error_of(400, body).code == "context_length_exceeded"
    assert error_of(404, openai_error(code="model_not_found")).code == "model_not_found"
    assert error_of(429, openai_error()).code == "rate_limit_exceeded"


@pytest.mark.parametrize("code", ["400", 400, "", None, ["x"]])
def test_row_96_the_status_once_more_is_no_code(code: Any):
    assert error_of(400, openai_error(code=code)).code is None


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_our_key_is_ours_to_answer_for(status: int):
    body = openai_error(code="invalid_api_key", type="invalid_request_error")
    error = error_of(status, body)
    assert (error.kind, error.status, error.status_hint) == ("auth", status, 502)
    assert (error.type, error.code) == ("server_error", "upstream_authentication_failed")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": "model is loading"}, "model is loading"),
        ({"error": {"message": "m"}}, "m"),
        ({"detail": "Not authenticated"}, "Not authenticated"),
        ({"detail": {"message": "m", "code": "c"}}, "m"),
        ({"message": "m", "type": "BadRequestError", "code": 400, "object": "error"}, "m"),
        ([{"error": {"message": "m", "code": 400, "status": "INVALID_ARGUMENT"}}], "m"),
        (b"upstream connect error", "upstream connect error"),
        (b"  caf\xc3\xa9 \n", "café"),
    ],
)
def test_the_message_is_found_in_each_shape(body: Any, message: str):
    error = error_of(400, body)
    assert (error.message, error.kind) == (message, "invalid")


FASTAPI = {"detail": [{"loc": ["body", "n"], "msg": "too many", "type": "value_error"}]}


@pytest.mark.parametrize(
    "body",
    [b"", b"  ", b"<html><h1>502 Bad Gateway</h1></html>", b"<!doctype html>", b"\xff\xfe\x00"],
)
def test_a_body_that_says_nothing_gives_our_words_and_no_page(body: bytes):
    error = error_of(502, body)
    assert error.message
    assert "<" not in error.message


@pytest.mark.parametrize(
    "body", [{}, [], [1], 3, None, "x", {"error": None}, {"error": []}, {"error": {}}, FASTAPI]
)
def test_odd_json_is_an_error_with_words(body: Any):
    error = error_of(400, body)
    assert error.kind == "invalid"
    assert error.message


def test_a_long_text_is_cut():
    assert len(error_of(500, b"x" * 100_000).message) <= 300


def test_row_97_when_to_come_back_is_kept():
    assert error_of(429, openai_error(), {"retry-after": "7"}).retry_after == 7
    assert error_of(503, b"", {"retry-after-ms": "1500"}).retry_after == 1.5
    assert error_of(429, openai_error()).retry_after is None


def test_an_error_inside_a_stream_has_no_status():
    error = error_from_object(json.dumps(openai_error(type="server_error")).encode())
    assert (error.status, error.kind, error.status_hint) == (None, "server", 502)
    assert error.native_type == "server_error"
    assert error_from_object(b"rubbish").message


@given(st.integers(300, 599), st.binary(max_size=40))
def test_no_body_breaks_the_table(status: int, body: bytes):
    assert error_from_response(status, {}, body).message


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "param", "detail"]), inner
        )
    ),
    max_leaves=6,
)


@given(st.integers(300, 599), JSON)
def test_no_json_breaks_the_table(status: int, body: Any):
    error = error_of(status, body)
    assert error.message
    assert error.status == status
    assert 400 <= error.status_hint <= 599


def test_row_75_a_call_that_the_model_wrote_wrong_is_not_the_clients_fault():
    error = error_of(400, openai_error(type="invalid_request_error", code="tool_use_failed"))
    assert (error.kind, error.status_hint, error.status) == ("server", 502, 400)


@pytest.mark.parametrize("body", [b"", b"<html>nginx</html>", {"id": "an answer"}], ids=repr)
@pytest.mark.parametrize("status", [200, 301, 307, 404])
def test_what_does_not_come_from_the_api_is_not_the_clients_fault(status: int, body: Any):
    error = error_of(status, body)
    assert (error.kind, error.status_hint) == ("protocol", 502)
    assert "answer" not in error.message.replace("answered", "")


@pytest.mark.parametrize(
    "body",
    [
        openai_error(code="invalid_api_key", message="Incorrect API key provided: SECRET-1"),
        {"code": "bad argument", "error": "Incorrect API key provided: SECRET-1"},
        openai_error(message="API key not valid. Please pass a valid API key: SECRET-1"),
    ],
)
def test_a_key_that_is_refused_with_400_is_still_ours_and_is_not_repeated(body: Any):
    error = error_of(400, body)
    assert (error.kind, error.status_hint) == ("auth", 502)
    assert "SECRET" not in json.dumps(error.to_wire())


def test_a_body_nested_beyond_reading_is_an_error_like_any_other():
    error = error_of(500, b'{"error":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    assert error.kind == "server"
