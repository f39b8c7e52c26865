"""`POST /v1/responses/input_tokens`: how many tokens a request would be billed for its input."""

from collections.abc import Mapping

from proxy.sandbox.answer import Answer
from proxy.sandbox.dialect import Request
from proxy.sandbox.directives import Directives
from proxy.sandbox.jsontypes import JsonObject, as_object
from proxy.sandbox.openai_chat import fields, refusals
from proxy.sandbox.openai_responses.dialect import OpenAIResponses

__all__ = ["InputTokens"]

# The body of `responses.input_tokens.count` (openai 3.54); `personality` is taken out beforehand.
_FIELDS = frozenset(
    {
        *("conversation", "input", "instructions", "model", "parallel_tool_calls"),
        *("previous_response_id", "reasoning", "text", "tool_choice", "tools", "truncation"),
    }
)


class InputTokens(OpenAIResponses):
    """Takes the fields of a request that make its input, under the rules of the Responses API."""

    def read(self, payload: object, headers: Mapping[str, str]) -> Request:
        """Validate a request body.

        Raises:
            Rejection: with the offending `param`.
        """
        found = as_object(payload)
        if found is None:
            return super().read(payload, headers)
        body = dict(found)
        if body.get("personality") is not None:
            fields.text(body["personality"], "personality")
        body.pop("personality", None)
        for key in body:
            if key not in _FIELDS:
                raise refusals.unknown_parameter(key)
        return super().read(body, headers)

    def reply(
        self, request: Request, answer: Answer, directives: Directives, *, serial: int
    ) -> JsonObject:
        """Return an `InputTokenCountResponse`."""
        return {
            "object": "response.input_tokens",
            "input_tokens": request.conversation.prompt_tokens,
        }
