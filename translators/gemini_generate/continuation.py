"""An answer that takes more than one request.

`google.genai._extra_utils.StreamContinuation` of google-genai 3.4 is the reference.

1. `finishReason: CONTINUATION` means that there is more. It is asked for by the same body with
   the `continuationToken` that the candidate carried. A token that came before would only repeat
   what was said, so it ends the answer as if it had reached its limit.
2. A stream that stops without a finish reason goes on likewise where its last content carried a
   token. The SDK resumes from an older one too, and repeats a request that brought nothing;
   here such a stream is broken: what was said behind a token might come twice.
"""

from translators.gemini_generate.events import Candidate
from translators.protocol import MAX_FOLLOW_UPS, HttpRequest

__all__ = ["Continuation"]

_CONTINUATION = "CONTINUATION"


class Continuation:
    """What a stream needs to know to go on; one for each answer."""

    __slots__ = ("_behind", "_made", "_request", "_token")

    def __init__(self, request: HttpRequest | None) -> None:
        self._request = request
        self._token: str | None = None
        self._behind = False
        self._made = 0

    def observe(self, candidate: Candidate) -> None:
        """Take the next event's candidate."""
        if candidate.continuation_token:
            self._token, self._behind = candidate.continuation_token, False
        elif candidate.content is not None and candidate.content.parts:
            self._behind = True

    def following(self, finish: str | None) -> HttpRequest | None:
        """Return the request for the rest of a stream that ended so; None where there is none."""
        if finish is None and self._behind:
            return None
        if finish not in (None, _CONTINUATION) or self._made == MAX_FOLLOW_UPS:
            return None
        self._request = request = _following(self._request, self._token)
        self._made += 1
        return request


def _following(request: HttpRequest | None, token: str | None) -> HttpRequest | None:
    if request is None or not token or token == request.body.get("continuationToken"):
        return None
    body = {**request.body, "continuationToken": token}
    return HttpRequest(request.path, body, request.headers)
