"""What belongs to a text: its sources on the web, and the probabilities of its tokens.

`response_output_text.py` and `response_text_delta_event.py` of openai 3.54.
"""

from typing import Any

from translators.openai_responses.events import Annotation, Logprob, TopLogprob

__all__ = ["to_annotation", "to_logprobs"]

_UNLIKELY = -9999.0
"""What OpenAI has for a probability that is too small to say."""


def to_annotation(source: Annotation, *, index: int, start: int) -> dict[str, Any] | None:
    """Return a source on the web; None for another one, which has no form in chat answers.

    Args:
        source: Its offsets are those of its part.
        index: Its number in the answer.
        start: Where in the answer's text the part begins, in characters.
    """
    if source.type != "url_citation" or source.url is None:
        return None
    cited = {
        "start_index": start + (source.start_index or 0),
        "end_index": start + (source.end_index or 0),
        "title": source.title or "",
        "url": source.url,
    }
    return {"index": index, "type": "url_citation", "url_citation": cited}


def to_logprobs(tokens: list[Logprob]) -> list[dict[str, Any]]:
    """Return one entry for each token, with the likeliest others."""
    return [
        {**_entry(token), "top_logprobs": [_entry(other) for other in token.top_logprobs or ()]}
        for token in tokens
    ]


def _entry(entry: TopLogprob) -> dict[str, Any]:
    token = entry.token or ""
    return {
        "token": token,
        "logprob": _UNLIKELY if entry.logprob is None else entry.logprob,
        # Streams leave the bytes out, whole answers do not.
        "bytes": list(token.encode()) if entry.bytes is None else entry.bytes,
    }
