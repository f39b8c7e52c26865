"""`countTokens`: how many tokens a request would be billed for its prompt."""

from collections.abc import Mapping

from proxy.sandbox.answer import Answer
from proxy.sandbox.dialect import Request
from proxy.sandbox.directives import Directives
from proxy.sandbox.gemini_generate import models, protojson, refusals
from proxy.sandbox.gemini_generate.conversation import conversation
from proxy.sandbox.gemini_generate.dialect import Call, GeminiGenerate
from proxy.sandbox.gemini_generate.rules import check_rules
from proxy.sandbox.jsontypes import JsonObject

__all__ = ["CountTokens"]

_WHOLE = "generate_content_request"


class CountTokens(GeminiGenerate):
    """One call of `countTokens`, of `contents` alone or of a whole `generateContentRequest`."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._counted = call

    def read(self, payload: object, headers: Mapping[str, str]) -> Request:
        """Validate a request body.

        Raises:
            Rejection: with the path of the offending field in its message.
        """
        call = self._counted
        found = protojson.read("CountTokensRequest", payload, call.version)
        models.known(call.model, call.version, "countTokens")
        if len(found) > 1:
            raise refusals.invalid(
                "CountTokens requires only one of generate_content_request or contents to be set."
            )
        if not any(found.values()):
            # zed-industries/zed#17343
            raise refusals.invalid(
                "CountTokens requires generate_content_request or contents to be set."
            )
        body: JsonObject = found.get(_WHOLE, found)
        if _WHOLE in found and not str(body.get("model", "")).startswith("models/"):
            # The form of one-api#938, with the path that zed-industries/zed#29630 met.
            raise refusals.invalid(
                f"* CountTokensRequest.{_WHOLE}.model: unexpected model name format\n"
            )
        traits = models.traits(call.model)
        check_rules(body, traits)
        return Request(conversation(call.model, body, traits), body, stream=False)

    def reply(
        self, request: Request, answer: Answer, directives: Directives, *, serial: int
    ) -> JsonObject:
        """Return a `CountTokensResponse`."""
        tokens = request.conversation.prompt_tokens
        return {
            "totalTokens": tokens,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}],
        }
