"""Prices in the policy: what is right, and what tokens cost by them."""

import pytest

from policy.answer_key import persona_version
from policy.prices import Prices, cost
from tests.policy.building import made, provider, refused
from translators.wire.response import CompletionTokensDetails, PromptTokensDetails, Usage

ALL = Prices(input=2.0, output=10.0, cache_read=0.5, cache_write=2.5)
FEW = Prices(input=2.0, output=10.0)


def usage(prompt: int, answer: int, read: int | None = None, written: int | None = None) -> Usage:
    details = PromptTokensDetails(cached_tokens=read, cache_write_tokens=written)
    reasoning = CompletionTokensDetails(reasoning_tokens=answer // 2)
    return Usage(prompt, answer, prompt + answer, details, reasoning)


@pytest.mark.parametrize(
    ("prices", "used", "dollars"),
    [
        (ALL, usage(1000, 100), 2000 + 1000),
        # The cache's tokens are part of the prompt's, and cost what they cost there.
        (ALL, usage(1000, 100, read=400), 600 * 2 + 400 * 0.5 + 1000),
        (ALL, usage(1000, 100, read=400, written=100), 500 * 2 + 200 + 250 + 1000),
        # Without a price of their own they cost what the others cost.
        (FEW, usage(1000, 100, read=400, written=100), 2000 + 1000),
        (ALL, Usage(10, 0, 10), 20),
        (Prices(input=0.0, output=0.0), usage(1000, 100), 0),
        # Of servers that count wrongly.
        (ALL, usage(10, 5, read=400), 200 + 50),
        (ALL, Usage(-10, -5, 0), 0),
    ],
)
def test_what_tokens_cost(prices: Prices, used: Usage, dollars: float) -> None:
    assert cost(used, prices) == pytest.approx(dollars / 1e6)


def test_a_price_of_nothing_is_one() -> None:
    free = Prices(input=2.0, output=10.0, cache_read=0.0)
    assert cost(usage(100, 0, read=100), free) == 0


def test_prices_stand_in_the_row_by_model() -> None:
    policy = made(provider("prices: {gpt-5.2: {input: 1.25, output: 10, cache_read: 0.125}}"))
    assert policy.providers["openai"].prices == {
        "gpt-5.2": Prices(input=1.25, output=10, cache_read=0.125)
    }
    assert policy.providers["anthropic"].prices == {}


@pytest.mark.parametrize(
    ("line", "key", "says"),
    [
        ("prices: {m: {input: -1, output: 1}}", "prices.m.input", "greater than or equal to 0"),
        ("prices: {m: {input: 1}}", "prices.m", "output"),
        ("prices: {m: {input: 1, output: free}}", "prices.m.output", "number"),
        ("prices: {m: {input: 1, output: .nan}}", "prices.m.output", "finite"),
        ("prices: {m: {input: 1, ouput: 1}}", "prices.m.ouput", "Did you mean `output`?"),
        ("prices: {m: 3}", "prices.m", ""),
    ],
)
def test_a_wrong_price_has_its_place_and_a_remedy(line: str, key: str, says: str) -> None:
    errors = refused(provider(line))
    found = {error.key: str(error) for error in errors}
    assert f"providers.openai.{key}" in found
    assert says in found[f"providers.openai.{key}"]


def test_another_price_makes_no_other_provider() -> None:
    cheap, dear = (
        made(provider(f"prices: {{gpt-5.2: {{input: {price}, output: 1}}}}")) for price in (1, 2)
    )
    assert cheap.providers["openai"] != dear.providers["openai"]
    assert cheap.providers["openai"].unpriced == dear.providers["openai"].unpriced
    # Nor are the answers that were kept any other.
    assert persona_version(cheap, "architect") == persona_version(dear, "architect")
