"""The google-genai SDK's own types as oracle: of a request's form, and of what an answer says."""

import base64
import warnings
from typing import Any

import pydantic
from google.genai import types

Json = dict[str, Any]


class _Request(pydantic.BaseModel):
    """The body of `generateContent`, which the SDK puts together from these."""

    model_config = pydantic.ConfigDict(extra="forbid")

    systemInstruction: types.Content | None = None
    contents: list[types.Content]
    tools: list[types.Tool] | None = None
    toolConfig: types.ToolConfig | None = None
    generationConfig: types.GenerationConfig | None = None
    safetySettings: list[types.SafetySetting] | None = None
    cachedContent: str | None = None
    serviceTier: types.ServiceTier | None = None


def problems_of(body: Json) -> list[str]:
    """Return what the SDK's types object to; they forbid extra fields."""
    try:
        with warnings.catch_warnings():
            # An enumeration takes names that it does not know, with a warning.
            warnings.simplefilter("error", UserWarning)
            _Request.model_validate(body)
    except (pydantic.ValidationError, UserWarning) as error:
        return [str(error)]
    return [
        f"contents[{index}]: {len(kinds)} kinds of data in one part"
        for index, content in enumerate(body["contents"])
        for part in content["parts"]
        if len(kinds := part.keys() & _DATA) != 1
    ]


_DATA = {
    *("text", "inlineData", "fileData", "functionCall", "functionResponse"),
    *("toolCall", "toolResponse"),
}


class Said:
    """What an answer says, by the SDK's types: the oracle's aggregation of a stream."""

    def __init__(self, answers: list[Any]) -> None:
        self.text = self.thoughts = ""
        self.calls: list[tuple[str | None, str, Any]] = []
        self.signatures: list[bytes | None] = []
        self.finish_reason: str | None = None
        self.usage: types.GenerateContentResponseUsageMetadata | None = None
        self.images = 0
        self.sound = ""
        self._partial: list[types.PartialArg] | None = None
        for answer in answers:
            self._add(_parsed(answer))

    def _add(self, answer: types.GenerateContentResponse) -> None:
        self.model, self.id = answer.model_version, answer.response_id
        usage = answer.usage_metadata
        if usage is not None and usage.total_token_count is not None:
            self.usage = usage
        for candidate in (answer.candidates or [])[:1]:
            if candidate.finish_reason is not None:
                self.finish_reason = candidate.finish_reason.value
            for part in (candidate.content and candidate.content.parts) or []:
                self._add_part(part)

    def _add_part(self, part: types.Part) -> None:
        if part.text and part.thought:
            self.thoughts += part.text
        elif part.text:
            self.text += part.text
        elif (blob := part.inline_data) is not None and blob.data is not None:
            if str(blob.mime_type).startswith("image/"):
                self.images += 1
            else:
                self.sound += base64.b64encode(blob.data).decode()
        elif (call := part.function_call) is not None:
            self._add_call(call, part.thought_signature)

    def _add_call(self, call: types.FunctionCall, signature: bytes | None) -> None:
        if call.name:
            self.calls.append((call.id, call.name, call.args or {}))
            self.signatures.append(signature)
        for piece in call.partial_args or ():
            # All that was recorded are strings at the first level.
            path = (piece.json_path or "").removeprefix("$.")
            arguments = self.calls[-1][2]
            arguments[path] = arguments.get(path, "") + (piece.string_value or "")


_SINCE = {"turnToken"}
_COUNTS_SINCE = {"serviceTier", "billablePromptUsage"}
"""Fields that the API sends and google-genai 3.4 does not know."""

_FINISH_REASONS = {1: "STOP"}
_MODALITIES = {1: "TEXT"}
"""The API's JSON allows the numbers of enumerations; the SDK's types do not."""


def _parsed(answer: Json) -> types.GenerateContentResponse:
    known = {name: value for name, value in answer.items() if name not in _SINCE}
    usage: Json = {n: v for n, v in answer["usageMetadata"].items() if n not in _COUNTS_SINCE}
    for name in usage.keys() & {"promptTokensDetails", "candidatesTokensDetails"}:
        usage[name] = [_named(entry, "modality", _MODALITIES) for entry in usage[name]]
    candidates = [
        _named(
            {n: v for n, v in c.items() if n != "safetyRatings"}, "finishReason", _FINISH_REASONS
        )
        for c in answer["candidates"]
    ]
    return types.GenerateContentResponse.model_validate(
        {**known, "usageMetadata": usage, "candidates": candidates}
    )


def _named(value: Json, field: str, names: dict[int, str]) -> Json:
    found = value.get(field)
    return {**value, field: names[found]} if isinstance(found, int) else value
