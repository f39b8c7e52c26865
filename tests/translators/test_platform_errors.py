"""The error tree: OpenAI's object for every class, and one face for every kind of failure."""

import builtins
import inspect
from typing import get_args

import pytest
from openai.types import ErrorObject as SdkErrorObject

from translators import errors
from translators.errors import (
    AccessDenied,
    ErrorKind,
    ExecutionPlatformError,
    InvalidRequest,
    NoProvider,
    ProviderError,
    RouterError,
    StreamTruncated,
    TimeoutError,
    TranslationError,
    UnknownPersona,
)

KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)

EXAMPLES: list[tuple[ExecutionPlatformError, int, str, str | None, str | None]] = [
    (InvalidRequest("m", param="n", code="c"), 400, "invalid_request_error", "n", "c"),
    (InvalidRequest("m", status=413), 413, "invalid_request_error", None, None),
    (AccessDenied("m"), 401, "invalid_request_error", None, "invalid_api_key"),
    (AccessDenied("m", code="model_not_allowed", status=403), 403, "invalid_request_error", None,
     "model_not_allowed"),
    (UnknownPersona("m"), 404, "invalid_request_error", "model", "model_not_found"),
    (NoProvider("m", unavailable=False), 400, "invalid_request_error", None, "no_provider"),
    (NoProvider("m", unavailable=True), 503, "service_unavailable_error", None, "no_provider"),
    (TranslationError("m", param="seed"), 400, "invalid_request_error", "seed",
     "unsupported_parameter"),
    (ProviderError("m", kind="invalid", param="n", code="c"), 400, "invalid_request_error", "n",
     "c"),
    (TimeoutError("idle", 3), 504, "timeout", None, "timeout"),
    (StreamTruncated("m"), 502, "server_error", None, "upstream_incomplete"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "status", "type", "param", "code"), EXAMPLES, ids=lambda v: type(v).__name__
)
def test_each_error_is_openais_object(
    error: ExecutionPlatformError, status: int, type: str, param: str | None, code: str | None
):
    wire = error.to_wire()
    assert list(wire) == ["error"]
    shown = SdkErrorObject.model_validate(wire["error"], strict=True)
    assert (shown.type, shown.param, shown.code) == (type, param, code)
    assert shown.message == error.message == str(error)
    assert error.status_hint == status


def test_every_class_has_an_example():
    classes = {
        cls
        for _, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, ExecutionPlatformError)
    }
    tried = {type(error) for error, *_ in EXAMPLES}
    assert classes - tried == {ExecutionPlatformError, RouterError}
    assert {cls.__name__ for cls in classes} <= set(errors.__all__)


# What a client may be told, by what happened.
FACES = {
    "auth": (502, "server_error", "upstream_authentication_failed"),
    "quota": (429, "insufficient_quota", "insufficient_quota"),
    "rate_limit": (429, "rate_limit_error", "rate_limit_exceeded"),
    "overloaded": (503, "service_unavailable_error", "server_is_overloaded"),
    "invalid": (400, "invalid_request_error", None),
    "not_found": (404, "invalid_request_error", "model_not_found"),
    "too_large": (413, "invalid_request_error", "request_too_large"),
    "conflict": (409, "server_error", "conflict"),
    "timeout": (504, "timeout", "timeout"),
    "network": (502, "server_error", "upstream_error"),
    "protocol": (502, "server_error", "upstream_error"),
    "server": (502, "server_error", "upstream_error"),
}


def test_the_table_of_kinds_is_complete():
    assert set(FACES) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_row_68_row_72_each_kind_has_its_face(kind: ErrorKind):
    error = ProviderError("m", kind=kind)
    assert (error.status_hint, error.type, error.code) == FACES[kind]
    assert error.status_hint >= 400
    assert ProviderError("m", kind=kind, code="their_own").code == "their_own"


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_of_our_own_key_is_never_the_clients_401(kind: ErrorKind):
    assert ProviderError("m", kind=kind).status_hint not in (401, 403)


def test_a_provider_error_carries_what_is_known():
    error = ProviderError(
        "m", kind="rate_limit", status=429, retry_after=2.5, native_type="t", request_id="r"
    )
    known = (error.status, error.retry_after, error.native_type, error.request_id)
    assert known == (429, 2.5, "t", "r")
    assert (error.provider, error.should_retry) == (None, None)


@pytest.mark.parametrize("phase", ["connect", "first_token", "idle", "total"])
def test_a_timeout_is_also_the_builtin_one(phase: str):
    with pytest.raises(builtins.TimeoutError, match=r"within 2\.5 s") as caught:
        raise TimeoutError(phase, 2.5)
    error = caught.value
    assert isinstance(error, TimeoutError)
    assert isinstance(error, ProviderError)
    assert (error.kind, error.phase, error.seconds) == ("timeout", phase, 2.5)
    assert str(error) == error.message
    assert error.errno is None


def test_an_unknown_persona_is_also_a_value_error():
    with pytest.raises(ValueError, match="m"):
        raise UnknownPersona("m")


def test_what_is_refused_before_a_provider_is_asked_is_told_apart():
    router = {type(error) for error, *_ in EXAMPLES if isinstance(error, RouterError)}
    provider = {type(error) for error, *_ in EXAMPLES if isinstance(error, ProviderError)}
    assert router == {InvalidRequest, AccessDenied, UnknownPersona, NoProvider, TranslationError}
    assert provider == {ProviderError, TimeoutError, StreamTruncated}


def test_attributes_of_one_error_are_not_those_of_the_class():
    ProviderError("m", kind="timeout", param="p", retry_after=1.0)
    assert ProviderError("m", kind="server").param is None
    assert ExecutionPlatformError("m").retry_after is None
    assert NoProvider("m", unavailable=False).type == "invalid_request_error"
