"""An answer that takes several requests: the tokens between them, and the share of each.

A token is opaque to clients. It says how many requests came before, and which body it belongs to:
the rest of an answer is asked for by the same one.
"""

import base64
import hashlib
from dataclasses import replace

import msgspec

from proxy.sandbox.answer import Answer
from proxy.sandbox.gemini_generate import refusals
from proxy.sandbox.gemini_generate.protojson import decoded
from proxy.sandbox.jsontypes import JsonObject
from proxy.sandbox.tokens import count_tokens, pieces

__all__ = ["hops_before", "share", "token_after"]

_FIELD = "continuation_token"
_MARK = b"sandbox-hop"
_NUMBER = 4


def token_after(body: JsonObject) -> str:
    """Return the token that the answer to a request ends with; `body` has been validated."""
    number = (hops_before(body) + 1).to_bytes(_NUMBER, "big")
    return base64.b64encode(_MARK + number + _digest(body)).decode()


def hops_before(body: JsonObject) -> int:
    """Return how many requests of the same answer came before; `body` has canonical names.

    Raises:
        Rejection: the token is not one of ours, or the body is not the one it was given for.
    """
    if _FIELD not in body:
        return 0
    raw = decoded(body[_FIELD]) or b""
    number = raw[len(_MARK) : len(_MARK) + _NUMBER]
    if not raw.startswith(_MARK) or len(number) != _NUMBER:
        raise refusals.violated(_FIELD, "the token is invalid.")
    if raw[len(_MARK) + _NUMBER :] != _digest(body):
        raise refusals.violated(_FIELD, "the token was issued for a different request.")
    return int.from_bytes(number, "big")


def share(answer: Answer, number: int, hops: int) -> Answer:
    """Return what request `number` (from 0 on) of `hops` gets: thoughts first, calls last."""
    if hops < 2 or answer.refusal is not None:
        return answer
    texts = list(pieces(answer.text, hops))
    texts += [""] * (hops - len(texts))
    counts = [count_tokens(text) for text in texts]
    counts[0] += answer.thinking_tokens
    counts[-1] = max(answer.completion_tokens - sum(counts[:-1]), 0)
    return replace(
        answer,
        text=texts[number],
        thinking=None if number else answer.thinking,
        thinking_tokens=0 if number else answer.thinking_tokens,
        calls=answer.calls if number == hops - 1 else (),
        completion_tokens=counts[number],
    )


def _digest(body: JsonObject) -> bytes:
    # The SDK sends an empty `generationConfig` with a token, and none without.
    same = {name: value for name, value in body.items() if name != _FIELD and value}
    return hashlib.sha256(msgspec.json.encode(same, order="sorted")).digest()[:16]
