"""A CLI that does not take what it is told costs no call of the API, and no part of a request.

An older or newer CLI cannot be had here. What stands for one is the real CLI behind a filter, which
keeps single fields from it: the CLI takes no notice of fields that it does not know.
"""

import os
import sys
from pathlib import Path

import pytest

from proxy.claude_cli import find_cli
from proxy.providers.claude_agent.transport import DOUBTS
from tests.claude_agent.running import NEEDS_CLI, Agent, running
from tests.claude_agent.test_cancellation import until
from tests.claude_agent.test_chat import TOOLS
from translators.errors import ProviderError

pytestmark = NEEDS_CLI

_FILTER = """\
#!{python}
import json, os, subprocess, sys, threading

cli = subprocess.Popen([{cli!r}, *sys.argv[1:]], stdin=subprocess.PIPE)

def forward():
    for line in sys.stdin.buffer:
        frame = json.loads(line)
        request = frame.get("request", {{}})
        {rule}
        cli.stdin.write(json.dumps(frame).encode() + b"\\n")
        cli.stdin.flush()
    cli.stdin.close()

threading.Thread(target=forward, daemon=True).start()
sys.exit(cli.wait())
"""
NO_PROMPT = 'request.pop("systemPrompt", None)'
NO_MODEL = 'request.get("settings", {}).pop("model", None)'
NO_SETTINGS = 'request.get("subtype") == "apply_flag_settings" and request.update(subtype="later")'


def filtered(folder: Path, rule: str) -> Path:
    path = folder / "claude"
    path.write_text(_FILTER.format(python=sys.executable, cli=str(find_cli()), rule=rule))
    path.chmod(0o755)
    return path


MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi [sandbox words=3]"},
]


async def ask(agent: Agent) -> str | None:
    answer = await agent.whole(messages=MESSAGES, tools=TOOLS)
    return answer.choices[0].finish_reason


@pytest.mark.parametrize("rule", [NO_PROMPT, NO_MODEL, NO_SETTINGS])
async def test_what_a_parked_process_does_not_take_is_told_to_a_new_one(
    tmp_path: Path, rule: str, caplog: pytest.LogCaptureFixture
):
    async with running(pool=1, cli=filtered(tmp_path, rule)) as agent:
        agent.transport.start()
        await until(lambda: agent.transport.pool.parked == 1, 30)
        assert await ask(agent) == "stop"
        assert len(agent.calls) == 1
        assert "Be brief." in [block["text"] for block in agent.body["system"]]
        assert agent.body["model"] == "claude-sonnet-5"
        for _ in range(DOUBTS - 1):
            assert agent.transport.pool.size == 1
            assert await ask(agent) == "stop"
        assert "no longer parked" in caplog.text
        assert agent.transport.pool.size == 0
        assert await ask(agent) == "stop"
        assert agent.transport.admission.inside == 0


async def test_a_request_that_is_odd_does_not_end_parking(tmp_path: Path):
    """Whether it is served otherwise, as here, or by no process at all."""
    rule = '"Odd" in str(request) and ' + NO_PROMPT
    async with running(pool=1, cli=filtered(tmp_path, rule)) as agent:
        odd = {"role": "system", "content": "Odd."}
        for _ in range(DOUBTS):
            assert (await agent.whole(messages=[odd, MESSAGES[1]])).choices
            assert await ask(agent) == "stop"
        assert agent.transport.pool.size == 1
        await until(lambda: agent.transport.pool.parked == 1, 30)


async def test_what_nothing_helps_against_is_an_error_and_no_call(tmp_path: Path):
    """Each turn's text is another one: the answer would be one to a question nobody asked."""
    rule = 'frame["message"] = {"role": "user", "content": "Hi"} if "message" in frame else None'
    async with running(pool=0, cli=filtered(tmp_path, rule)) as agent:
        with pytest.raises(ProviderError) as caught:
            await ask(agent)
        assert agent.calls == []
    assert "left turn 0 out" in caught.value.message


@pytest.mark.parametrize("pool", [0, 1])
async def test_one_that_does_not_begin_as_we_do_is_an_error_of_the_provider(
    tmp_path: Path, pool: int
):
    rule = 'request.get("subtype") == "initialize" and request.update(subtype="later")'
    async with running(pool=pool, cli=filtered(tmp_path, rule)) as agent:
        with pytest.raises(ProviderError, match="refused its settings"):
            await ask(agent)
        assert agent.calls == []
        assert agent.transport.admission.inside == 0


def test_the_sdks_own_program_is_found_first():
    found = find_cli()
    assert found is not None and os.access(found, os.X_OK)
    assert found.parent.name == "_bundled"
