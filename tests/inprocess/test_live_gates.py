"""Live gates inside a program: the same, through the engine."""

import json

from execution_platform.spi import ChatResponse

from tests.inprocess.sandboxed import Upstream, ask, run, text_of

FAIL = '[sandbox provider=anthropic fail=529] [sandbox say="all is well"]'


def test_a_failing_provider_is_passed_over_and_nobody_calls_it(upstream: Upstream) -> None:
    policy = json.loads(upstream.policy.read_text())
    policy["live_gates"] = {"min_samples": 3, "cooldown": 600}
    upstream.policy.write_text(json.dumps(policy))

    async def main() -> None:
        client = upstream.router().get_client("anthropic_first")
        before = upstream.tally("anthropic")["started"]
        for number in range(8):
            if number % 2:
                assert await text_of(client, ask(FAIL)) == "all is well"
                continue
            answer = await client.chat(ask(FAIL))
            assert isinstance(answer, ChatResponse)
            assert answer.text == "all is well"
        assert upstream.tally("anthropic")["started"] == before + 3

    run(main)
