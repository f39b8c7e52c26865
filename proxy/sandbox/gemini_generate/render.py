"""`GenerateContentResponse`s: the whole one, and those of a stream.

Facts of the wire that clients stumble over, as recorded: a call is whole and ends with `STOP`; only
the first one of a turn is signed; from the third generation on calls have ids and come in an event
each, and the last event has an empty text (with the signature of a text answer); before, the last
content carries `finishReason`; a cut answer may have no `parts`; counts are running totals, and
what is zero is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from proxy.sandbox.answer import Answer, Call
from proxy.sandbox.dialect import Request
from proxy.sandbox.directives import Directives
from proxy.sandbox.gemini_generate.continuation import hops_before, share, token_after
from proxy.sandbox.gemini_generate.models import Traits, served
from proxy.sandbox.gemini_generate.signatures import sign
from proxy.sandbox.jsontypes import JsonObject, as_object
from proxy.sandbox.tokens import count_tokens, pieces

__all__ = ["Rendering"]

_FINISH = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "refusal": "PROHIBITED_CONTENT",
}
_CALLED = "Model generated function call(s)."
_MALFORMED = "MALFORMED_FUNCTION_CALL"
_CONTINUATION = "CONTINUATION"


@dataclass(frozen=True, slots=True)
class _Step:
    """The parts of one event, and the tokens of text and of thought that they are."""

    parts: tuple[JsonObject, ...]
    tokens: int = 0
    thought: int = 0


class Rendering:
    """One answer, in the shapes that the service gives it."""

    def __init__(
        self,
        request: Request,
        answer: Answer,
        directives: Directives,
        *,
        traits: Traits,
        serial: int,
    ) -> None:
        self._request, self._directives = request, directives
        self._hop = hops_before(request.payload)
        self._more = self._hop + 1 < directives.hops and answer.refusal is None
        self._answer = answer = share(answer, min(self._hop, directives.hops - 1), directives.hops)
        self._traits, self._serial = traits, serial
        self._config: JsonObject = request.payload.get("generation_config", {})
        self._count: int = self._config.get("candidate_count", 1)
        self._calls = [(call.name, _arguments(call)) for call in answer.calls]
        cut = answer.finish == "length"
        broken = any(arguments is None for _, arguments in self._calls)
        if broken:
            # What the limit has cut is dropped; other broken arguments spoil the whole answer.
            self._calls = [item for item in self._calls if cut and item[1] is not None]
        self._malformed = broken and not cut

    def whole(self) -> JsonObject:
        """Return the answer in one piece."""
        if self._is_blocked():
            return self._blocked()
        candidates = [self._whole_candidate(i) for i in range(self._count)]
        text, thought = self._totals()
        return self._framed(candidates, text * self._count, thought * self._count)

    def steps(self) -> Iterator[JsonObject]:
        """Yield the answer in the pieces of a stream."""
        if self._directives.first:
            yield self._framed([{"content": {"role": "model"}, "index": 0}], 0, 0)
        if self._is_blocked():
            yield self._blocked()
            return
        text = thought = 0
        for index in range(self._count):
            held: _Step | None = None
            for step in self._content(index):
                if held is not None:
                    yield self._framed([_candidate(held.parts, index)], text, thought)
                held = step
                text, thought = text + step.tokens, thought + step.thought
            ending = held.parts if held is not None else ()
            full_text, full_thought = self._totals()
            text, thought = full_text * (index + 1), full_thought * (index + 1)
            yield self._framed([self._ended(_candidate(ending, index))], text, thought)

    def _is_blocked(self) -> bool:
        return self._answer.refusal is not None and self._directives.stop_reason is None

    def _blocked(self) -> JsonObject:
        body = self._framed([], 0, 0)
        del body["candidates"]
        return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, **body}

    def _totals(self) -> tuple[int, int]:
        """Count the tokens of one candidate: its content, and its thoughts."""
        answer = self._answer
        if answer.refusal is not None:
            return 0, 0
        return answer.completion_tokens - answer.thinking_tokens, answer.thinking_tokens

    def _framed(self, candidates: list[JsonObject], text: int, thought: int) -> JsonObject:
        return {
            "candidates": candidates,
            "usageMetadata": self._usage(text, thought),
            "modelVersion": served(self._request.conversation.model),
            "responseId": f"Sandbox{self._serial:015d}",
            **({"sandboxFutureField": {"new": True}} if self._directives.unknown else {}),
        }

    def _usage(self, text: int, thought: int) -> JsonObject:
        answer = self._answer
        usage: JsonObject = {"promptTokenCount": answer.prompt_tokens}
        if text:
            usage["candidatesTokenCount"] = text
        usage["totalTokenCount"] = answer.prompt_tokens + text + thought
        if answer.cached_tokens:
            usage["cachedContentTokenCount"] = answer.cached_tokens
        usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": answer.prompt_tokens}]
        if answer.cached_tokens:
            details = {"modality": "TEXT", "tokenCount": answer.cached_tokens}
            usage["cacheTokensDetails"] = [details]
        if thought:
            usage["thoughtsTokenCount"] = thought
        usage["serviceTier"] = str(self._request.payload.get("service_tier", "standard")).lower()
        return usage

    def _whole_candidate(self, index: int) -> JsonObject:
        parts: list[JsonObject] = []
        answer = self._answer
        parts += self._future()
        if answer.thinking:
            parts.append({"text": answer.thinking, "thought": True})
        if answer.text:
            signed = self._signature("text") if self._signs_text() else {}
            parts.append({"text": answer.text, **signed})
        parts += self._call_parts(index)
        return self._ended(_candidate(tuple(parts), index))

    def _future(self) -> list[JsonObject]:
        return [{"sandboxFuturePart": {"new": True}}] if self._directives.unknown else []

    def _content(self, index: int) -> Iterator[_Step]:
        """Yield what is said and called; the last of it will carry the ending."""
        answer, chunks = self._answer, self._directives.chunks
        hidden = min(self._request.conversation.hidden_tokens, answer.thinking_tokens)
        if self._directives.unknown:
            yield _Step(tuple(self._future()))
        for piece in pieces(answer.thinking or "", None):
            yield _Step(({"text": piece, "thought": True},), 0, count_tokens(piece) + hidden)
            hidden = 0
        for piece in pieces(answer.text, chunks):
            yield _Step(({"text": piece},), count_tokens(piece), hidden)
            hidden = 0
        called = self._call_parts(index)
        if not self._traits.third:
            if called:
                yield _Step(tuple(called), self._call_tokens())
            elif self._signs_text() and answer.text:
                yield _Step(({"text": "", **self._signature("text")},))
            return
        for call, part in zip(answer.calls, called, strict=False):
            yield _Step((part,), count_tokens(call.arguments) + 1)
        if answer.text and not called:
            yield _Step(({"text": "", **self._signature("text")},))
        elif called:
            yield _Step(({"text": ""},))

    def _call_tokens(self) -> int:
        return sum(count_tokens(call.arguments) + 1 for call in self._answer.calls)

    def _signs_text(self) -> bool:
        return (self._traits.third or self._answer.redacted) and not self._calls

    def _signature(self, *parts: str) -> JsonObject:
        return {"thoughtSignature": sign(self._traits.name, str(self._serial), *parts)}

    def _signs_calls(self) -> bool:
        budget = self._config.get("thinking_config", {}).get("thinking_budget")
        return self._traits.third or (self._traits.thinks_unasked and budget != 0)

    def _call_parts(self, index: int) -> list[JsonObject]:
        made: list[JsonObject] = []
        for k, (name, arguments) in enumerate(self._calls):
            call: JsonObject = {"name": name}
            if not self._directives.noargs:
                call["args"] = arguments
            if self._traits.third:
                call["id"] = f"sbx{self._serial:05d}{index}{k}"
            part: JsonObject = {"functionCall": call}
            if k == 0 and self._signs_calls():
                part.update(self._signature("call", name))
            made.append(part)
        return made

    def _ended(self, candidate: JsonObject) -> JsonObject:
        reason = _MALFORMED if self._malformed else _FINISH[self._answer.finish]
        if self._more:
            reason = _CONTINUATION
        elif self._directives.stop_reason and not self._hop:
            reason = self._directives.stop_reason
        ended: JsonObject = {
            "content": candidate["content"],
            "finishReason": reason,
            "index": candidate["index"],
        }
        if reason == _CONTINUATION:
            ended["continuationToken"] = token_after(self._request.payload)
        if self._malformed:
            name = self._answer.calls[0].name
            ended["finishMessage"] = f"Malformed function call: default_api.{name}("
        elif self._calls:
            ended["finishMessage"] = _CALLED
        if self._config.get("response_logprobs") and self._answer.text:
            ended.update(_logprobs(self._answer.text))
        return ended


def _candidate(parts: tuple[JsonObject, ...], index: int) -> JsonObject:
    content: JsonObject = {"parts": list(parts)} if parts else {}
    return {"content": {**content, "role": "model"}, "index": index}


def _arguments(call: Call) -> JsonObject | None:
    """Return the arguments as an object, or None where they are none."""
    try:
        return as_object(msgspec.json.decode(call.arguments or "{}"))
    except msgspec.DecodeError:
        return None


def _logprobs(text: str) -> JsonObject:
    chosen = [
        {"token": piece, "tokenId": i, "logProbability": -0.1}
        for i, piece in enumerate(pieces(text, 1 << 30))
    ]
    return {"avgLogprobs": -0.1, "logprobsResult": {"chosenCandidates": chosen}}
