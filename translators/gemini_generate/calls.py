"""The calls and results of earlier turns.

https://ai.google.dev/gemini-api/docs/function-calling and .../thought-signatures

1. A result names its function, which OpenAI's does not: it is looked up in the call. Results
   follow in the order of their calls, by which models without ids tell them apart.
2. Ids exist from generation 3 on; older models refuse them. They are the client's, made unique
   in the order of their appearance, so a longer conversation has them alike.
3. From generation 3 on, the first call of each step must carry its thought signature. Where the
   client has none, because it dropped it or the call is another provider's, it is replaced by
   the word that Google documents for this. That goes for every step and not only for those of
   the current turn, which would change what was sent before as soon as the turn is over.
   `translators.gemini_generate.signatures` says where signatures come from.
4. Calls of custom tools and broken arguments are as in `translators.functions`.
"""

import base64
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass

from translators.fidelity import ReportBuilder
from translators.functions import custom_call, parse_arguments, parse_object
from translators.gemini_generate.content import Part
from translators.gemini_generate.models import ModelProfile
from translators.gemini_generate.names import MAX_LENGTH, encode_name
from translators.gemini_generate.signatures import Signatures, plain_id
from translators.wire.content import AssistantMessage, FunctionCall, ToolCall

__all__ = ["Calls"]

_UNSIGNED = base64.b64encode(b"skip_thought_signature_validator").decode()
"""https://ai.google.dev/gemini-api/docs/thought-signatures#faqs"""

_SIGNATURE_PATH = "messages[].tool_calls[].extra_content.google.thought_signature"


@dataclass(slots=True)
class _Open:
    """A call whose results have not been sent."""

    id: str | None
    name: str
    result: Part | None = None


class Calls:
    """Writes the calls of a conversation, and finds each again for its result."""

    def __init__(self, profile: ModelProfile, report: ReportBuilder) -> None:
        self._profile = profile
        self._report = report
        self._used: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._waiting: dict[Hashable, deque[_Open]] = {}
        self._open: list[_Open] = []

    def parts(self, message: AssistantMessage, index: int, signatures: Signatures) -> list[Part]:
        """Return the parts for the calls of an answer, which is message number `index`."""
        parts: list[Part] = []
        for call in message.tool_calls or ():
            parts += signatures.before(plain_id(call.id))
            parts.append(self._call(call, signatures))
        if (legacy := message.function_call) is not None:
            wanted = f"call_fc_{index}"
            parts.append(self._function(("function", legacy.name), wanted, legacy))
        first = next((part for part in parts if "functionCall" in part), None)
        if first is not None and self._profile.third and "thoughtSignature" not in first:
            self._report.emulated(_SIGNATURE_PATH)
            first["thoughtSignature"] = _UNSIGNED
        return parts

    def close(self, key: Hashable, texts: list[str], media: list[Part]) -> list[Part] | None:
        """Take the result of the first call with `key` that waits for one.

        Returns:
            The media that have to stand beside the result; None where no call waits.
        """
        if isinstance(key, str):
            key = plain_id(key)
        queue = self._waiting.get(key)
        if not queue:
            return None
        waiting = queue.popleft()
        result: Part = {} if waiting.id is None else {"id": waiting.id}
        result |= {"name": waiting.name, "response": _response("\n".join(texts))}
        beside = media
        if media and self._profile.third and all("inlineData" in part for part in media):
            if any("mediaResolution" in part for part in media):
                self._report.ignored("messages[].content[].image_url.detail")
            result["parts"] = [{"inlineData": part["inlineData"]} for part in media]
            beside = []
        elif media:
            self._report.emulated("messages[].content")
        waiting.result = {"functionResponse": result}
        return beside

    def take(self) -> list[Part]:
        """Return the results of the calls, in the calls' order, and forget both."""
        if not self._open:
            return []
        results = [call.result for call in self._open if call.result is not None]
        self._open = [call for call in self._open if call.result is None]
        return results

    def unanswered(self) -> str | None:
        """Return the name of a function whose call still waits, or None."""
        return next((call.name for call in self._open if call.result is None), None)

    def _call(self, call: ToolCall, signatures: Signatures) -> Part:
        extra = call.model_extra or {}
        self._report.ignored_fields("messages[].tool_calls[]", extra, known=_READ)
        id = plain_id(call.id)
        told = call.function or call.custom
        if told is not None:
            path = f"messages[].tool_calls[].{call.type}"
            self._report.ignored_fields(path, told.model_extra or {})
        if call.function is not None:
            part = self._function(id, id, call.function)
        else:
            part = self._part(id, id, *custom_call(call))
        if (signature := signatures.of(id)) is not None:
            part["thoughtSignature"] = signature
        return part

    def _function(self, key: Hashable, wanted: str, call: FunctionCall) -> Part:
        return self._part(key, wanted, call.name, parse_arguments(call.arguments, self._report))

    def _part(self, key: Hashable, wanted: str, name: str, arguments: Part) -> Part:
        native = encode_name(name)[:MAX_LENGTH]
        if native != name:
            self._report.emulated("messages[].tool_calls[].function.name")
        id = self._unique(wanted) if self._profile.third else None
        opened = _Open(id, native)
        self._open.append(opened)
        self._waiting.setdefault(key, deque()).append(opened)
        call: Part = {} if id is None else {"id": id}
        return {"functionCall": {**call, "name": native, "args": arguments}}

    def _unique(self, wanted: str) -> str:
        id, number = wanted, self._numbers.get(wanted, 1)
        while id in self._used:
            number += 1
            id = f"{wanted}_{number}"
        self._used.add(id)
        self._numbers[wanted] = number
        return id


_READ = frozenset({"index", "extra_content", "provider_specific_fields"})


def _response(text: str) -> Part:
    """Return a result as the object the API wants: what is none is its `output`.

    `FunctionResponse.response` of google-genai 3.4: without `output` and `error`, "the whole
    response is treated as function output".
    """
    value = parse_object(text)
    return {"output": text} if value is None else value
