"""The sandbox's tokenizer, and text of a wanted length.

One token is a word together with the white space before it, at most twelve characters of it:
simple enough to count by hand, and the same for prompts, answers and tool arguments.
"""

import re
from collections.abc import Iterator

__all__ = ["count_tokens", "filler", "pieces", "truncate"]

_TOKEN = re.compile(r"\s*\S{1,12}|\s+")
_SENTENCE = """
the proxy sends this sentence word by word so that every chunk can be counted and nothing in it
depends on a clock or on chance while naïve café 東京 and 🙂 keep the bytes honest
"""
_WORDS = _SENTENCE.split()


def count_tokens(text: str) -> int:
    """Count the tokens of `text` by the rule above."""
    return len(_TOKEN.findall(text))


def truncate(text: str, limit: int) -> tuple[str, bool]:
    """Cut `text` to `limit` tokens; say whether something was cut."""
    for position, match in enumerate(_TOKEN.finditer(text)):
        if position >= limit:
            return text[: match.start()], True
    return text, False


def filler(words: int) -> str:
    """Return exactly `words` words, the same ones every time."""
    return " ".join(_WORDS[i % len(_WORDS)] for i in range(words))


def pieces(text: str, chunks: int | None) -> Iterator[str]:
    """Cut `text` into `chunks` pieces of whole tokens, by default of two tokens each.

    There are never more pieces than tokens, and never an empty one.
    """
    tokens: list[str] = _TOKEN.findall(text)
    wanted = (len(tokens) + 1) // 2 if chunks is None else min(max(chunks, 1), len(tokens))
    start = 0
    for i in range(wanted):
        end = len(tokens) * (i + 1) // wanted
        yield "".join(tokens[start:end])
        start = end
