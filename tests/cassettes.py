"""Strict cassettes: HTTP exchanges recorded once and played back by vcrpy.

A request is answered only if method, URL and body are those recorded; every exchange must be
asked for; nothing that is not recorded goes anywhere. Of headers only those listed here are
kept, so that no credential can get into a file. `RECORD_CASSETTES=1` records anew.

vcrpy takes over both clients in use: aiohttp on the data path, and requests (urllib3) where
google-auth asks for tokens. It plays a body in one piece: how an answer is cut up, and how long
it takes, is tested elsewhere, over sockets.
"""

import ast
import functools
import os
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, cast

__all__ = ["FOLDER", "LABEL", "RECORDING", "cassette", "names_in_use"]

FOLDER = Path(__file__).parent / "cassettes"
RECORDING = os.environ.get("RECORD_CASSETTES") == "1"

LABEL = """\
# Recorded against a local fake (tests/clouds.py), not against the cloud itself: it checks address,
# credential and body as the vendors' SDKs send them, and its answers are the sandbox's.
# Credentials are taken out. Record anew: RECORD_CASSETTES=1 pytest tests/proxy/test_cloud_wire.py
"""

_KEPT = frozenset({"content-type", "anthropic-version", "anthropic-beta", "x-goog-user-project"})
_SECRETS = (re.compile(rb'("access_token"\s*:\s*)"[^"]+"'),)


@contextmanager
def cassette(name: str, *, origin: str = "") -> Generator[None]:
    """Play a cassette, or record it.

    Args:
        name: Of the file, without its ending.
        origin: While recording: the address of the fake, below which each host has a folder of
            its name. The cassette has the host's own address.
    """
    matchers: dict[str, Callable[[Any, Any], None]] = {
        "method": _equal("method"),
        "uri": _equal("uri"),
        "body": _equal("body"),
    }
    # Without types of its own.
    vcr: Any = import_module("vcr")
    player = vcr.VCR(
        record_mode="all" if RECORDING else "none",
        match_on=list(matchers),
        filter_post_data_parameters=[("assertion", "REDACTED")],
        before_record_request=functools.partial(_cleaned, origin),
        before_record_response=_answer,
        decode_compressed_response=True,
    )
    for matcher, compare in matchers.items():
        player.register_matcher(matcher, compare)
    filesystem: Any = import_module("vcr.persisters.filesystem")
    player.register_persister(_labelled(filesystem.FilesystemPersister))
    path = FOLDER / f"{name}.yaml"
    if RECORDING:
        path.unlink(missing_ok=True)
    with player.use_cassette(str(path)) as tape:
        yield
    if not RECORDING:
        count = len(tape.requests)
        unused = [tape.requests[i].uri for i in range(count) if not tape.play_counts[i]]
        assert count, f"{path.name} is empty"
        assert not unused, f"{path.name}: never asked for: {unused}"


def _equal(part: str) -> Callable[[Any, Any], None]:
    def compare(asked: Any, recorded: Any) -> None:
        ours, theirs = getattr(asked, part), getattr(recorded, part)
        assert ours == theirs, f"{part}: {ours!r} is not {theirs!r}"

    return compare


def _cleaned(origin: str, request: Any) -> Any:
    if origin and request.uri.startswith(origin):
        request.uri = "https:/" + request.uri.removeprefix(origin)
    request.headers = {n.lower(): v for n, v in request.headers.items() if n.lower() in _KEPT}
    return request


def _answer(response: dict[str, Any]) -> dict[str, Any]:
    headers = cast("Mapping[str, Any]", response["headers"])
    kept = {n.lower(): v for n, v in headers.items() if n.lower() in ("content-type", "request-id")}
    body = response["body"]["string"]
    for secret in _SECRETS:
        body = secret.sub(rb'\1"REDACTED"', body)
    return {**response, "headers": kept, "body": {"string": body}}


def _labelled(persister: Any) -> Any:
    """Return vcrpy's own persister, which writes the label above what it saves."""

    class Labelled(persister):
        @staticmethod
        def save_cassette(path: str, tape: Any, serializer: Any) -> None:
            persister.save_cassette(path, tape, serializer)
            file = Path(path)
            file.write_text(LABEL + file.read_text(encoding="utf-8"), encoding="utf-8")

    return Labelled


def names_in_use() -> dict[str, str]:
    """Return each cassette that a test names, and the file that does: `cassette("…")`."""
    names: dict[str, str] = {}
    for file in FOLDER.parent.rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name(id="cassette"), args=[ast.Constant(value=str(name)), *_]
                ):
                    names[name] = file.name
                case _:
                    pass
    return names
