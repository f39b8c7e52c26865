"""Google's cloud: access tokens, and what its API changes in a request.

Only google-auth is used, which is where google-genai and anthropic have their credentials from:
0.15 s and 30 MB instead of 1.5 s and 80 MB for the SDKs, and one data path for all providers.
URLs and bodies are those of anthropic 2.12 (`lib/vertex/_client.py`) and google-genai 3.4
(`_api_client.py`); the tests compare them with what the SDKs send.
"""

import asyncio
import functools
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final
from urllib.parse import quote

import msgspec

from proxy.providers.over_http import ErrorFromResponse
from proxy.providers.refused_credentials import BROKEN, RefusedCredentials
from translators.anthropic_messages.errors import error_from_response as anthropic_error
from translators.errors import ProviderError
from translators.gemini_generate.errors import error_from_response as google_error
from translators.json import UNREADABLE
from translators.protocol import HttpRequest

__all__ = ["GoogleToken", "claude_error", "claude_on_vertex", "gemini_on_vertex"]

_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"

PATIENCE: Final = 10.0
"""Seconds for each answer of a token server: a stopping server waits for the thread."""

_REMEDY: Final = (
    "`gcloud auth application-default print-access-token` with the proxy's user and environment "
    "says what is wrong with them, or with the file that `GOOGLE_APPLICATION_CREDENTIALS` names"
)

# The older version has a name of its own here; the newer one goes by its date, as in the SDK.
_VERSIONS: Final[Mapping[str, str]] = {"2023-06-01": "vertex-2023-10-16"}


class GoogleToken:
    """The access token of the Application Default Credentials.

    They are looked for with the first request. A token near its end is renewed beside the
    requests that still use it; only one that has ended is waited for.

    Args:
        load: Returns the credentials; None: google-auth's search.
    """

    def __init__(self, load: Callable[[], Any] | None = None) -> None:
        self._load = load or _default_credentials
        self._credentials: Any = None
        self._renewal: asyncio.Task[Any] | None = None

    async def __call__(self, url: str, body: bytes) -> Mapping[str, str]:
        """Return the headers that carry the token.

        Raises:
            ProviderError: There are no credentials, or Google refuses them.
        """
        credentials: Any = self._credentials
        state = "INVALID" if self._credentials is None else credentials.token_state.name
        if state != "FRESH":
            renewal = self._renew()
            if state == "INVALID":
                # Others wait for it, too: who leaves must not take it along.
                credentials = await asyncio.shield(renewal)
        headers = {"authorization": f"Bearer {credentials.token}"}
        if credentials.quota_project_id:
            headers["x-goog-user-project"] = credentials.quota_project_id
        return headers

    def dropped_by(self, read: ErrorFromResponse) -> ErrorFromResponse:
        """Return `read`, which from now on drops the token where it reads of a 401.

        Google may end a token before its time. The next request gets another, of credentials
        that are looked for anew: they may have been mended.
        """

        def error(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
            if status == 401:
                self._credentials = None
            return read(status, headers, body)

        return error

    def _renew(self) -> asyncio.Task[Any]:
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renewed())
            # Where nobody waits the old token goes on; the next request tries again.
            self._renewal.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._renewal

    async def _renewed(self) -> Any:
        self._credentials = credentials = await asyncio.to_thread(self._renew_now)
        return credentials

    def _renew_now(self) -> Any:
        exceptions: Any = import_module("google.auth.exceptions")
        try:
            credentials = self._credentials or self._load()
            credentials.refresh(_request())
        except exceptions.TransportError as error:
            raise ProviderError(
                "Google's token server cannot be reached.", kind="network"
            ) from error
        except (exceptions.GoogleAuthError, *BROKEN) as error:
            raise RefusedCredentials("Google", _code_of(error), _REMEDY) from error
        return credentials


def _default_credentials() -> Any:
    auth: Any = import_module("google.auth")
    credentials, _ = auth.default(scopes=[_SCOPE], request=_request())
    return credentials


def _request() -> Any:
    requests: Any = import_module("google.auth.transport.requests")
    return functools.partial(requests.Request(), timeout=PATIENCE)


def _code_of(error: Exception) -> str:
    """Return OAuth's word for a refusal (RFC 6749, 5.2), or the exception's name; no more.

    What stands behind it may repeat what was sent.
    """
    code = re.match(r"[a-z]+(_[a-z]+)+(?=:|$)", str(error.args[0]) if error.args else "")
    return code[0] if code else type(error).__name__


def claude_on_vertex(project: str, location: str) -> Callable[[HttpRequest], HttpRequest]:
    """Return what makes of a request of the Messages API one of Vertex.

    The model and whether to stream stand in the path, the API's version in the body.
    """
    models = f"/projects/{quote(project, safe='')}/locations/{location}/publishers/anthropic/models"

    def rewrite(request: HttpRequest) -> HttpRequest:
        body = dict(request.body)
        model = quote(str(body.pop("model")), safe="@")
        headers = dict(request.headers)
        version = headers.pop("anthropic-version")
        body["anthropic_version"] = _VERSIONS.get(version, version)
        method = "streamRawPredict" if body.get("stream") else "rawPredict"
        return HttpRequest(f"{models}/{model}:{method}", body, headers)

    return rewrite


def gemini_on_vertex(project: str, location: str) -> Callable[[HttpRequest], HttpRequest]:
    """Return what puts the project and the place into the path of a request to Gemini."""
    publisher = f"projects/{quote(project, safe='')}/locations/{location}/publishers/google"

    def rewrite(request: HttpRequest) -> HttpRequest:
        version, slash, rest = request.path.partition("/models/")
        return HttpRequest(f"{version}/{publisher}{slash}{rest}", request.body, request.headers)

    return rewrite


class _GoogleError(msgspec.Struct):
    status: str


class _Body(msgspec.Struct):
    error: _GoogleError


def claude_error(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """Return the error that an answer stands for: the model's, or the cloud's around it."""
    try:
        msgspec.json.decode(body, type=_Body | list[_Body])
    except UNREADABLE:
        return anthropic_error(status, headers, body)
    return google_error(status, headers, body)
