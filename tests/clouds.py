"""A strict fake of the clouds: Google's token server and Vertex, Bedrock, Foundry.

Each host is a folder of its name below the fake's own address. A request that the vendor's SDK
would not have sent - another address, a missing or a wrong credential, a body of another form -
is refused in the cloud's own words; any other is answered by the sandbox. `test_cloud_parity`
sends the SDKs' own requests here, too.
"""

import asyncio
import base64
import hashlib
import hmac
import re
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec
import uvicorn
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy.sandbox.app import create_sandbox, journal_of

__all__ = [
    "AWS_KEY",
    "AWS_SECRET",
    "AWS_SESSION",
    "BEDROCK_KEY",
    "FOUNDRY_KEY",
    "PROJECT",
    "Clouds",
    "in_thread",
]

PROJECT = "my-project"
FOUNDRY_KEY = "foundry-key-51d0c3"
AWS_KEY, AWS_SECRET, AWS_SESSION = "AKIDFAKE", "aws-secret-7f2e91", "aws-session-2b9d04"
BEDROCK_KEY = "bedrock-key-c07a44"

_VERTEX = re.compile(
    r"/(?:(?P<region>[a-z0-9-]+)-)?aiplatform(?:\.(?P<multi>us|eu)\.rep)?\.googleapis\.com"
    r"/(?P<version>v1|v1beta1)/projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)"
    r"/publishers/(?P<publisher>anthropic|google)/models/(?P<model>[^/:]+):(?P<method>\w+)"
)
_BEDROCK = re.compile(r"/bedrock-mantle\.(?P<region>[a-z0-9-]+)\.api\.aws/anthropic/v1/messages")
_FOUNDRY = re.compile(r"/(?P<resource>[a-z0-9-]+)\.services\.ai\.azure\.com/anthropic/v1/messages")
_VERSIONS = {"vertex-2023-10-16": "2023-06-01", "2026-10-21": "2026-10-21"}


class _Refused(Exception):
    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def _google(status: int, word: str, message: str) -> _Refused:
    return _Refused(status, {"error": {"code": status, "message": message, "status": word}})


def _anthropic(status: int, kind: str, message: str) -> _Refused:
    return _Refused(status, {"type": "error", "error": {"type": kind, "message": message}})


class Clouds:
    """The fake. `seen` has what arrived: path, headers, and the body's JSON.

    Attributes:
        app: To be served; `proxy.sandbox.server.SandboxServer` does.
        seen: Of each request to a model: path, headers (names in lower case), body.
        tokens: Those handed out so far; the last one is the one that counts.
        revoked: Whether the token server refuses the account.
        expires: Seconds for which a token is good.
    """

    def __init__(self) -> None:
        self._sandbox = create_sandbox()
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.seen: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.tokens: list[str] = []
        self.revoked = False
        self.expires = 3599
        self.app = Starlette(routes=[Route("/{rest:path}", _App(self._serve), methods=["POST"])])
        self.app.state.journal = journal_of(self._sandbox)

    def account(self, token_uri: str) -> dict[str, str]:
        """Return a service account's key file, as Google's console makes it."""
        key = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "1",
            "private_key": key.decode(),
            "client_email": "ep@my-project.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": token_uri,
        }

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {n.decode().lower(): v.decode() for n, v in scope["headers"]}
        body = await _read(receive)
        # As it was sent: the server has decoded `path`.
        path = scope["raw_path"].decode()
        try:
            if path == "/oauth2.googleapis.com/token":
                await _reply(send, 200, self._token(headers, body))
                return
            place, sent, more = self._admitted(path, headers, body)
        except _Refused as refused:
            await _reply(send, refused.status, refused.body)
            return
        await self._sandbox(_moved(scope, place, more), _once(msgspec.json.encode(sent)), send)

    def _admitted(
        self, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[str, dict[str, Any], dict[str, str]]:
        """Return the sandbox's path, body and headers for a request that is right."""
        if headers.get("content-type") != "application/json":
            raise _google(400, "INVALID_ARGUMENT", "content-type")
        sent = msgspec.json.decode(body, type=dict[str, Any])
        self.seen.append((path, dict(headers), sent))
        if found := _VERTEX.fullmatch(path):
            return self._vertex(found, headers, dict(sent))
        if found := _BEDROCK.fullmatch(path):
            _check_signature(path, headers, body, region=found["region"])
            model = sent["model"]
            if not model.startswith("anthropic."):
                raise _anthropic(404, "not_found_error", f"model: {model}")
            return self._messages(headers, {**sent, "model": model.removeprefix("anthropic.")})
        if _FOUNDRY.fullmatch(path):
            if {headers.get("x-api-key"), headers.get("api-key")} != {FOUNDRY_KEY}:
                raise _anthropic(401, "authentication_error", "invalid x-api-key")
            return self._messages(headers, sent)
        raise _google(404, "NOT_FOUND", f"no such address: {path}")

    def _vertex(
        self, found: re.Match[str], headers: Mapping[str, str], sent: dict[str, Any]
    ) -> tuple[str, dict[str, Any], dict[str, str]]:
        if headers.get("authorization") != f"Bearer {self.tokens[-1] if self.tokens else None}":
            message = "Request had invalid authentication credentials."
            raise _google(401, "UNAUTHENTICATED", message)
        place = found["region"] or found["multi"] or "global"
        if found["project"] != PROJECT or found["location"] != place:
            raise _google(403, "PERMISSION_DENIED", "Permission denied on resource project.")
        model, method, stream = unquote(found["model"]), found["method"], sent.get("stream", False)
        if found["publisher"] == "google":
            if found["version"] != "v1beta1" or "x-goog-api-key" in headers:
                raise _google(400, "INVALID_ARGUMENT", "version or key")
            return f"/gemini/v1beta/models/{model}:{method}", sent, {"x-goog-api-key": "k"}
        version = _VERSIONS.get(sent.pop("anthropic_version", ""))
        wanted = "streamRawPredict" if stream else "rawPredict"
        if version is None or "model" in sent or method != wanted or found["version"] != "v1":
            raise _google(400, "INVALID_ARGUMENT", "not a request for a Claude model")
        if "anthropic-version" in headers or "x-api-key" in headers:
            raise _google(400, "INVALID_ARGUMENT", "anthropic-version, x-api-key")
        # A snapshot's date stands behind `@` here.
        body = {"model": model.replace("@", "-"), **sent}
        return self._messages({**headers, "anthropic-version": version}, body)

    def _messages(
        self, headers: Mapping[str, str], sent: dict[str, Any]
    ) -> tuple[str, dict[str, Any], dict[str, str]]:
        kept = {n: v for n, v in headers.items() if n in ("anthropic-version", "anthropic-beta")}
        return "/anthropic/v1/messages", sent, {**kept, "x-api-key": "k"}

    def _token(self, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            raise _Refused(400, {"error": "unsupported_grant_type"})
        head, claims, signature = form["assertion"].split(".")
        try:
            self._key.public_key().verify(
                _decoded(signature),
                f"{head}.{claims}".encode(),
                padding.PKCS1v15(),
                hashes.SHA256(),
            )
        except InvalidSignature:
            raise _Refused(400, {"error": "invalid_grant"}) from None
        scope = msgspec.json.decode(_decoded(claims))["scope"]
        if self.revoked or scope != "https://www.googleapis.com/auth/cloud-platform":
            words = f"Account disabled: {form['assertion']}"
            raise _Refused(400, {"error": "invalid_grant", "error_description": words})
        self.tokens.append(f"ya29.fake-token-{len(self.tokens) + 1}")
        return {
            "access_token": self.tokens[-1],
            "expires_in": self.expires,
            "token_type": "Bearer",
        }


def _check_signature(path: str, headers: Mapping[str, str], body: bytes, *, region: str) -> None:
    """Refuse a request whose Signature Version 4 is not right, written from AWS's description."""
    given = headers.get("authorization", "")
    if given == f"Bearer {BEDROCK_KEY}":
        return
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=(?P<key>\w+)/(?P<scope>\S+), "
        r"SignedHeaders=(?P<names>\S+), Signature=(?P<signature>[0-9a-f]{64})",
        given,
    )
    if found is None:
        raise _anthropic(403, "permission_error", "Missing Authentication Token")
    names = found["names"].split(";")
    stamp = headers.get("x-amz-date", "")
    scope = f"{stamp[:8]}/{region}/bedrock-mantle/aws4_request"
    canonical = "\n".join(
        [
            "POST",
            path,
            "",
            *(f"{name}:{headers[name].strip()}" for name in names),
            "",
            found["names"],
            hashlib.sha256(body).hexdigest(),
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{AWS_SECRET}".encode()
    for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"):
        key = hmac.digest(key, part.encode(), "sha256")
    right = (AWS_KEY, scope, key.hex(), AWS_SESSION)
    if right != (
        found["key"],
        found["scope"],
        found["signature"],
        headers.get("x-amz-security-token"),
    ) or not {"host", "x-amz-date", "x-amz-security-token"} <= set(names):
        message = "The request signature we calculated does not match the signature you provided."
        raise _anthropic(403, "permission_error", message)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class _App:
    """An ASGI application for a route: a bare function would be taken for an endpoint."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _moved(scope: Scope, path: str, headers: Mapping[str, str]) -> Scope:
    """Return a scope for the sandbox."""
    kept = [(n.encode(), v.encode()) for n, v in headers.items()]
    return {
        **{name: scope[name] for name in ("type", "asgi", "http_version", "method", "scheme")},
        **{name: scope[name] for name in ("query_string", "client", "server")},
        "extensions": scope.get("extensions", {}),
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), *kept],
    }


def _once(body: bytes) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        # Nobody leaves.
        await asyncio.Event().wait()
        raise AssertionError

    return receive


async def _reply(send: Send, status: int, body: Any) -> None:
    headers = [(b"content-type", b"application/json; charset=UTF-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode(body)})


@contextmanager
def in_thread(app: ASGIApp) -> Generator[str]:
    """Serve an application beside the test, which may not be asynchronous; yield its address."""
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None)
    server, socket = uvicorn.Server(config), config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.005)
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        socket.close()
