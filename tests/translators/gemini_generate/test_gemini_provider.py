"""The provider: which address, which headers."""

from typing import Any, cast

import pytest

from policy.schema import ProviderRow
from proxy.call import Call
from proxy.http import HttpClient, HttpStatusError
from proxy.http_client.headers import DEFAULTS, HeaderBlock
from proxy.providers.gemini_generate import create
from proxy.providers.over_http import HttpProvider
from tests.translators.chat_requests import chat_of, user
from translators.errors import ProviderError
from translators.protocol import HttpRequest


class _Recorder:
    """Stands in for the HTTP client; knows what would have been sent."""

    def __init__(self) -> None:
        self.url = ""
        self.headers: dict[str, str] = {}

    async def post(
        self, url: str, *, headers: dict[str, str], common: HeaderBlock, **_: Any
    ) -> Any:
        self.url = url
        self.headers = dict(common.fields.items() - DEFAULTS.fields.items()) | headers
        raise ProviderError("Recorded.", kind="network")


def provider_of(row: dict[str, Any], *, key: str | None, client: _Recorder) -> HttpProvider:
    fields = {"dialect": "gemini_generate", "base_url": "https://g.example", "model": "gemini-x"}
    checked = ProviderRow.model_validate({**fields, **row})
    return create(checked, key=key, client=cast("HttpClient", client))


async def sent(row: dict[str, Any], *, stream: bool, key: str | None = "k") -> _Recorder:
    recorder = _Recorder()
    provider = provider_of(row, key=key, client=recorder)
    chat = chat_of({"model": "p", "messages": [user("x")], "stream": stream})
    request: HttpRequest = provider.translator.request(chat, model="gemini-x").request
    call = Call()
    with pytest.raises(ProviderError):
        if stream:
            await provider.transport.open(request, call)
        else:
            await provider.transport.send(request, call)
    return recorder


@pytest.mark.parametrize(
    ("row", "stream", "url"),
    [
        ({}, False, "/v1beta/models/gemini-x:generateContent"),
        ({"api_version": "v1"}, False, "/v1/models/gemini-x:generateContent"),
        ({"query": {"a": "b"}}, False, "/v1beta/models/gemini-x:generateContent?a=b"),
        ({}, True, "/v1beta/models/gemini-x:streamGenerateContent?alt=sse"),
        (
            {"query": {"a": "b"}},
            True,
            "/v1beta/models/gemini-x:streamGenerateContent?alt=sse&a=b",
        ),
    ],
)
async def test_address(row: dict[str, Any], stream: bool, url: str):
    assert (await sent(row, stream=stream)).url == f"https://g.example{url}"


@pytest.mark.parametrize(
    ("row", "key", "headers"),
    [
        ({}, "k", {"x-goog-api-key": "k"}),
        ({"api_key_header": "X-Key"}, "k", {"X-Key": "k"}),
        ({}, None, {}),
    ],
)
async def test_key_is_in_a_header(row: dict[str, Any], key: str | None, headers: dict[str, str]):
    recorder = await sent(row, stream=True, key=key)
    assert recorder.headers == headers
    assert "k" not in recorder.url.partition("?")[2]


def test_error_answers_are_mapped_by_the_dialects_table():
    provider = provider_of({}, key=None, client=_Recorder())
    body = b'{"error":{"code":503,"message":"Busy.","status":"UNAVAILABLE"}}'
    error = provider.map_error(HttpStatusError(503, {}, body))
    assert error is not None and error.kind == "overloaded"
    assert provider.map_error(ValueError()) is None
