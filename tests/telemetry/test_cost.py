"""What a request cost, on its spans and in its record: by the policy's prices, or not at all."""

from typing import Any

import pytest

from tests.telemetry.traced_app import USAGE, Answer, ScriptedProvider, TracedApp

PRICES: dict[str, Any] = {"first": {"prices": {"gpt-first": {"input": 1.0, "output": 2.0}}}}
# 10 tokens in, those of the cache at the same price, and 5 out.
FIRST = (10 * 1.0 + 5 * 2.0) / 1e6


def costs(app: TracedApp) -> tuple[list[Any], Any]:
    attempts = [(span.attributes or {}).get("ep.cost.usd") for span in app.attempts]
    return attempts, (app.server.attributes or {}).get("ep.cost.usd")


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_of_a_model_with_prices_has_a_cost(stream: bool):
    app = TracedApp(ScriptedProvider(Answer(usage=USAGE)), rows=PRICES)
    await app.ask(stream=stream)
    assert costs(app) == ([pytest.approx(FIRST)], pytest.approx(FIRST))


async def test_without_a_price_there_is_none_and_not_one_of_0():
    app = TracedApp(ScriptedProvider(Answer(usage=USAGE)))
    await app.ask()
    assert costs(app) == ([None], None)
    other = {"first": {"prices": {"gpt-other": {"input": 1.0, "output": 2.0}}}}
    app = TracedApp(ScriptedProvider(Answer(usage=USAGE)), rows=other)
    await app.ask()
    assert costs(app) == ([None], None)


async def test_without_token_counts_there_is_none_either():
    app = TracedApp(ScriptedProvider(Answer()), rows=PRICES)
    await app.ask(stream=True)
    assert costs(app) == ([None], None)


async def test_what_is_free_costs_0():
    free = {"first": {"prices": {"gpt-first": {"input": 0.0, "output": 0.0}}}}
    app = TracedApp(ScriptedProvider(Answer(usage=USAGE)), rows=free)
    await app.ask()
    assert costs(app) == ([0.0], 0.0)


async def test_of_several_attempts_each_has_its_own_and_the_request_their_sum():
    second = {"second": {"prices": {"gpt-second": {"input": 10.0, "output": 10.0}}}}
    app = TracedApp(
        ScriptedProvider(Answer(500)),
        ScriptedProvider(Answer(usage=USAGE)),
        rows={**PRICES, **second},
    )
    await app.ask("both")
    dollars = (10 + 5) * 10 / 1e6
    failed, answered = costs(app)[0]
    assert failed is None
    assert answered == pytest.approx(dollars)
    assert costs(app)[1] == pytest.approx(dollars)
