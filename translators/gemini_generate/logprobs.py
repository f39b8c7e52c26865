"""Token probabilities: Gemini's to OpenAI's.

https://ai.google.dev/api/generate-content#LogprobsResult
"""

from itertools import zip_longest
from typing import Any

from translators.gemini_generate.events import LogprobsResult, TokenCandidate

__all__ = ["to_logprobs"]

_UNLIKELY = -9999.0
"""What OpenAI has for a probability that is too small to say."""


def to_logprobs(result: LogprobsResult) -> list[dict[str, Any]]:
    """Return one entry for each token, with the likeliest others."""
    chosen, tops = result.chosen_candidates or [], result.top_candidates or []
    return [
        {
            **_entry(token),
            "top_logprobs": [_entry(other) for other in (top and top.candidates) or ()],
        }
        for token, top in zip_longest(chosen, tops[: len(chosen)])
    ]


def _entry(candidate: TokenCandidate) -> dict[str, Any]:
    token, logprob = candidate.token or "", candidate.log_probability
    return {
        "token": token,
        "logprob": _UNLIKELY if logprob is None else logprob,
        "bytes": list(token.encode()),
    }
