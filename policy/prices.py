"""What an answer cost, by the prices that the policy has for its model."""

from typing import Annotated

from pydantic import Field

from policy.rows import Row
from translators.wire.response import Usage

__all__ = ["Prices", "cost"]

_MILLION = 1_000_000

Price = Annotated[float, Field(ge=0)]


class Prices(Row):
    """The prices of one model, in US dollars per million tokens.

    Attributes:
        input: Of the prompt.
        output: Of the answer, reasoning included.
        cache_read: Of the prompt, what the provider had in its cache; None: as `input`.
        cache_write: Of the prompt, what the provider put into its cache; None: as `input`.
    """

    input: Price
    output: Price
    cache_read: Price | None = None
    cache_write: Price | None = None


def cost(usage: Usage, prices: Prices) -> float:
    """Return what tokens cost, in US dollars.

    Args:
        usage: OpenAI's counts: `prompt_tokens` has those of the cache, and `completion_tokens`
            those of the reasoning.
        prices: Of the model that was asked.
    """
    details = usage.prompt_tokens_details
    read = (details.cached_tokens or 0) if details else 0
    written = (details.cache_write_tokens or 0) if details else 0
    fresh = usage.prompt_tokens - read - written
    parts = (
        (fresh, prices.input),
        (read, prices.input if prices.cache_read is None else prices.cache_read),
        (written, prices.input if prices.cache_write is None else prices.cache_write),
        (usage.completion_tokens, prices.output),
    )
    # What a broken server may say: nobody is paid for using a model.
    return sum(max(0, count) * price for count, price in parts) / _MILLION
