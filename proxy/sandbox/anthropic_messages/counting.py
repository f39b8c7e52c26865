"""`POST /v1/messages/count_tokens`: how many tokens a request would be billed for its prompt."""

from collections.abc import Mapping

from pydantic import ValidationError

from proxy.sandbox.answer import Answer
from proxy.sandbox.anthropic_messages import refusals
from proxy.sandbox.anthropic_messages.conversation import conversation
from proxy.sandbox.anthropic_messages.dialect import AnthropicMessages
from proxy.sandbox.anthropic_messages.models import traits
from proxy.sandbox.anthropic_messages.rules import check_rules
from proxy.sandbox.anthropic_messages.wire import Body, shape_fault
from proxy.sandbox.dialect import Request
from proxy.sandbox.directives import Directives
from proxy.sandbox.jsontypes import JsonObject, as_object, as_text

__all__ = ["CountTokens"]

# The body of `messages.count_tokens` (anthropic 2.12).
_FIELDS = frozenset(
    {
        *("messages", "model", "cache_control", "output_config", "speed", "system"),
        *("thinking", "tool_choice", "tools"),
    }
)


class CountTokens(AnthropicMessages):
    """Takes the fields of a request that make its prompt, under the rules of the Messages API."""

    def read(self, payload: object, headers: Mapping[str, str]) -> Request:
        """Validate a request body.

        Raises:
            Rejection: with the path of the offending field in its message.
        """
        found = as_object(payload)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if found is None or kind != "application/json":
            return super().read(payload, headers)
        counted = {key: value for key, value in found.items() if key in _FIELDS}
        # No answer is asked for, so that nothing limits it.
        longest = traits(as_text(found.get("model"))).most_tokens
        try:
            body = Body.model_validate({**counted, "max_tokens": longest})
        except ValidationError as error:
            raise refusals.invalid(shape_fault(error)) from None
        for key in found:
            if key not in _FIELDS:
                raise refusals.invalid(f"{key}: Extra inputs are not permitted")
        check_rules(body, counted, headers)
        return Request(conversation(body, counted), counted, stream=False)

    def reply(
        self, request: Request, answer: Answer, directives: Directives, *, serial: int
    ) -> JsonObject:
        """Return a `MessageTokensCount`."""
        return {"input_tokens": request.conversation.prompt_tokens}
