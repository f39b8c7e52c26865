"""An agent does what its policy opens to it, with the real CLI, and nothing else.

What its tools did is asserted on what reached the API, and on the machine.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from policy.agents import AgentRow, McpServerRow
from policy.providers import Timeouts
from proxy.call import Call
from proxy.providers.claude_agent.gate import Door
from proxy.providers.claude_agent.surroundings import PREFIX
from tests.claude_agent.running import KEY, NEEDS_CLI, Agent, children, files, running, told
from tests.claude_agent.test_cancellation import SECOND, until
from tests.claude_agent.test_chat import TOOLS
from tests.claude_agent.test_fidelity import IMAGES
from tests.claude_agent.test_isolation import CANARY as CLAUDE_MD
from tests.claude_agent.test_isolation import plant
from tests.http.agent_server import runs
from translators.errors import ProviderError, TranslationError

pytestmark = NEEDS_CLI

Json = dict[str, Any]

CANARY = "canary-5e1d"
SERVER = Path(__file__).with_name("docs_server.py")
WAYS = pytest.mark.parametrize("way", ["whole", "streamed"])


class Watch:
    """Keeps what tools were run."""

    def __init__(self) -> None:
        self.begun: dict[str, str] = {}
        self.failed: dict[str, bool] = {}

    def started(self, id: str, name: str) -> None:
        self.begun[id] = name

    def ended(self, id: str, *, failed: bool) -> None:
        self.failed[id] = failed

    @property
    def outcome(self) -> list[tuple[str, bool | None]]:
        """The tools in their order, each with whether it failed."""
        return [(name, self.failed.get(id)) for id, name in self.begun.items()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "note.txt").write_text("the note says hello")
    (tmp_path / "secret.txt").write_text(CANARY)
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    return folder


def row(folder: Path | None = None, **fields: Any) -> AgentRow:
    where = {} if folder is None else {"working_directory": str(folder)}
    return AgentRow.model_validate({"tools": ["Read"], **where, **fields})


def use(tool: str, **arguments: Any) -> str:
    """Return the words that make the model call a tool."""
    return f"Hi [sandbox tool={tool} args={json.dumps(arguments, separators=(',', ':'))}"


@pytest.fixture
async def reader(folder: Path) -> AsyncIterator[Agent]:
    async with running(agent=row(folder)) as agent:
        yield agent


def results(calls: list[Json]) -> list[str]:
    """Return what the tools told the model by the last call."""
    found: list[str] = []
    for turn in calls[-1]["body"]["messages"]:
        blocks = turn["content"] if turn["role"] == "user" else ()
        found += [json.dumps(b["content"]) for b in blocks if b["type"] == "tool_result"]
    return found


@WAYS
@pytest.mark.parametrize("pool", [0, 1])
async def test_an_agent_uses_its_tools_and_the_client_sees_what_it_says(
    folder: Path, way: str, pool: int
):
    async with running(agent=row(folder), pool=pool) as agent:
        watch, ask = Watch(), use("Read", file_path=str(folder / "note.txt"))
        call = Call(watch=watch)
        answer = await getattr(agent, way)(f'{ask} say="Let me see."]', call=call)
        message = answer.choices[0].message
        assert message.content == "Let me see.\n\nLet me see."
        assert message.tool_calls is None
        assert answer.choices[0].finish_reason == "stop"
        assert watch.outcome == [("Read", False)]
        assert "the note says hello" in results(agent.calls)[0]
        assert len(agent.calls) == 2
        assert call.agent is not None and call.agent.session and (call.agent.cost or 0) > 0
        assert call.agent.process == ("parked" if pool else "spawned")


async def test_tokens_are_those_of_all_calls(reader: Agent, folder: Path):
    one = await reader.whole('Hi [sandbox say="Fine."]')
    both = await reader.whole(f'{use("Read", file_path=str(folder / "note.txt"))} say="Fine."]')
    assert one.usage is not None and both.usage is not None
    assert both.usage.prompt_tokens > 2 * one.usage.prompt_tokens - 1
    assert both.usage.completion_tokens > one.usage.completion_tokens
    assert both.usage.total_tokens == both.usage.prompt_tokens + both.usage.completion_tokens


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "{folder}/../secret.txt", "{folder}/link.txt", "/proc/self/environ"]
)
async def test_files_outside_its_directory_are_refused(reader: Agent, folder: Path, path: str):
    watch = Watch()
    path = path.replace("{folder}", str(folder))
    await reader.whole(f"{use('Read', file_path=path)}]", call=Call(watch=watch))
    assert watch.outcome == [("Read", True)]
    sent = json.dumps(reader.calls)
    assert CANARY not in sent and "held-by-the-gate" not in sent


async def test_a_tool_that_is_not_open_is_not_there(folder: Path):
    for tools in (["Read"], ["Read", "Write"], ["Grep", "Glob", "Bash(ls:*)"]):
        async with running(agent=row(folder, tools=tools)) as agent:
            await agent.whole("Hi [sandbox words=2]")
        offered = {tool["name"] for tool in agent.body["tools"]}
        assert offered == {tool.partition("(")[0] for tool in tools}


async def test_commands_are_those_of_the_rule(folder: Path):
    agent_row = row(folder, tools=["Bash(echo:*)", "Bash(ls:*)"])
    async with running(agent=agent_row) as agent:
        watch = Watch()
        await agent.whole(f"{use('Bash', command='echo fine', description='x')}]")
        assert "fine" in results(agent.calls)[0]
        for command in ("touch ran", "echo $(touch ran)", "echo x > ran", "echo x; touch ran"):
            ask = use("Bash", command=command, description="x")
            await agent.whole(f"{ask}]", call=Call(watch=watch))
        assert [failed for _, failed in watch.outcome] == [True] * 4
    assert not (folder / "ran").exists()


async def test_a_file_is_written_where_that_is_open(folder: Path):
    async with running(agent=row(folder, tools=["Write", "Read"])) as agent:
        watch = Watch()
        ask = use("Write", file_path=str(folder / "new.txt"), content="made by the agent")
        await agent.whole(f"{ask}]", call=Call(watch=watch))
        assert (folder / "new.txt").read_text() == "made by the agent"
        ask = use("Write", file_path=str(folder.parent / "out.txt"), content="x")
        await agent.whole(f"{ask}]", call=Call(watch=watch))
    assert watch.outcome == [("Write", False), ("Write", True)]
    assert not (folder.parent / "out.txt").exists()


async def test_without_a_directory_it_works_in_an_empty_one_that_goes(tmp_path: Path):
    async with running(agent=row(tools=["Bash"])) as agent:
        ask = use("Bash", command="pwd && ls -A && touch made", description="x")
        await agent.whole(f"{ask}]")
        (result,) = results(agent.calls)
        assert PREFIX in result and "made" not in result


def docs(tmp_path: Path, **fields: Any) -> McpServerRow:
    arguments = [str(SERVER), str(tmp_path / "forgotten")]
    program = {"command": sys.executable, "args": arguments, "environment": ["DOCS_TOKEN"]}
    return McpServerRow.model_validate({**program, **fields})


async def test_an_mcp_server_is_used_and_told_what_the_policy_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DOCS_TOKEN", "token-of-the-docs")
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    agent_row = AgentRow(mcp_servers={"docs": docs(tmp_path, tools=["search"])})
    async with running(agent=agent_row) as agent:
        watch = Watch()
        ask = f"{use('mcp__docs__search', text='tea')} stall=9]"
        answer = await agent.prepare(f"{use('mcp__docs__search', text='tea')}]").complete(
            Call(watch=watch)
        )
        assert watch.outcome == [("mcp__docs__search", False)]
        (result,) = results(agent.calls)
        assert "found tea, as token-of-the-docs" in result
        assert "OPENAI_API_KEY" not in result
        assert b"tool_calls" not in answer.data
        await agent.whole(f"{use('mcp__docs__forget')}]", call=Call(watch=watch))
        assert watch.outcome[-1] == ("mcp__docs__forget", True)
        # Its secret is on no command line.
        task = asyncio.create_task(agent.whole(ask.replace("stall=9", "delay=9")))
        await until(lambda: agent.open == 1, 30)
        (pid,) = children()
        assert b"token-of-the-docs" not in told(pid, "cmdline")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert not (tmp_path / "forgotten").exists()


async def test_all_tools_of_a_server_are_open_where_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DOCS_TOKEN", "t")
    async with running(agent=AgentRow(mcp_servers={"docs": docs(tmp_path)}), pool=1) as agent:
        await agent.whole(f"{use('mcp__docs__forget')}]")
    assert (tmp_path / "forgotten").exists()


@WAYS
async def test_a_run_ends_with_the_calls_it_may_make(folder: Path, way: str):
    async with running(agent=row(folder, max_turns=3)) as agent:
        ask = use("Read", file_path=str(folder / "note.txt"))
        answer = await getattr(agent, way)(f'{ask} say="On." rounds=9]')
        assert answer.choices[0].finish_reason == "length"
        assert answer.choices[0].message.content == "On.\n\nOn.\n\nOn."
        await agent.transport.aclose()
        assert len(agent.calls) == 3


@WAYS
async def test_a_run_ends_with_its_budget(folder: Path, way: str):
    async with running(agent=row(folder, max_budget_usd=0.000001)) as agent:
        ask = use("Read", file_path=str(folder / "note.txt"))
        answer = await getattr(agent, way)(f'{ask} say="On." rounds=9]')
        assert answer.choices[0].finish_reason == "length"
        await agent.transport.aclose()
        assert len(agent.calls) == 1


@pytest.mark.parametrize(
    ("end", "reason"),
    [("stop_reason=max_tokens", "length"), ("refuse", "content_filter"), ("", "stop")],
)
async def test_any_end_but_a_tool_is_the_end(reader: Agent, end: str, reason: str):
    """The CLI would have a cut answer continued, a refused one asked for again."""
    answer = await reader.whole(f"Hi [sandbox words=4 {end}]")
    assert answer.choices[0].finish_reason == reason
    await reader.transport.aclose()
    assert len(reader.calls) == 1


async def test_a_failure_behind_a_tool_says_that_it_had_effects(
    reader: Agent, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its first call is answered; the second one is refused, as any after it would be."""
    ask = use("Read", file_path=str(folder / "note.txt"))
    call, door = Call(), Door.admits
    refused = ProviderError("The API is out of order.", kind="overloaded")

    async def refuse(self: Door, body: bytes) -> bool:
        if call.had_effects:
            self.fail(refused)
        return await door(self, body)

    monkeypatch.setattr(Door, "admits", refuse)
    with pytest.raises(ProviderError) as caught:
        await reader.whole(f"{ask} rounds=9]", call=call)
    assert caught.value is refused
    assert call.had_effects and len(reader.calls) == 1


async def test_before_a_tool_there_are_none(reader: Agent):
    call = Call()
    with pytest.raises(ProviderError) as caught:
        await reader.whole("Hi [sandbox fail=529]", call=call)
    assert caught.value.kind == "overloaded" and not call.had_effects
    assert len(reader.calls) == 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": TOOLS}, "tools"),
        ({"functions": [{"name": "look"}]}, "functions"),
        ({"n": 2}, "n"),
        ({"tool_choice": "none"}, "tool_choice"),
        ({"function_call": "none"}, "function_call"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
    ],
)
async def test_what_an_agent_cannot_honour_is_refused(reader: Agent, fields: Json, param: str):
    with pytest.raises(TranslationError) as caught:
        reader.prepare("Hi", **fields)
    assert caught.value.param == param
    assert reader.calls == []


async def test_calls_of_the_past_are_told_and_the_limit_holds_for_each_call(
    reader: Agent, folder: Path
):
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    answer = await reader.whole(
        messages=[
            {"role": "user", "content": "Look"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "seen"},
            {"role": "assistant", "content": "I saw."},
            {
                "role": "user",
                "content": f"{use('Read', file_path=str(folder / 'note.txt'))} words=3]",
            },
        ],
        max_tokens=77,
    )
    assert answer.choices[0].finish_reason == "stop"
    assert reader.report.emulated == ("max_tokens",)
    assert [c["body"]["max_tokens"] for c in reader.calls] == [77, 77]
    assert [tool["name"] for tool in reader.calls[0]["body"]["tools"]] == ["Read"]


async def test_a_large_image_is_one_that_the_cli_makes_of_it(folder: Path):
    """It calls more than once, so its turns cannot be laid over; it is told that it may differ."""
    kind, data = IMAGES["larger than half a MB"]
    url = {"url": f"data:{kind};base64,{data}"}
    text = {"type": "text", "text": f"{use('Read', file_path=str(folder / 'note.txt'))}]"}
    content = [{"type": "image_url", "image_url": url}, text]
    async with running(agent=row(folder), pool=1) as agent:
        answer = await agent.whole(messages=[{"role": "user", "content": content}])
    assert answer.choices[0].finish_reason == "stop"
    assert "messages[].content[].image_url" in agent.report.emulated
    assert len(agent.calls) == 2
    for call in agent.calls:
        assert call["body"]["messages"][0]["content"][0]["type"] == "image"
    assert "the note says hello" in results(agent.calls)[0]


async def test_its_tools_see_no_secret_of_ours(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("GIT_AUTHOR_NAME", "the agent")
    agent_row = row(folder, tools=["Bash"], environment=["GIT_AUTHOR_NAME"])
    async with running(agent=agent_row) as agent:
        ask = use("Bash", command="env; cat /proc/$PPID/environ", description="x")
        await agent.whole(f"{ask}]")
    (result,) = results(agent.calls)
    assert "GIT_AUTHOR_NAME=the agent" in result
    assert CANARY not in result and KEY not in result


async def test_its_tools_cannot_call_the_api(folder: Path):
    """They find its address where the CLI does; the key behind it is not theirs to spend."""
    script = folder / "call.py"
    script.write_text(
        "import json, os, urllib.request\n"
        "body = {'model': 'claude-opus-5-5', 'max_tokens': 9, 'stream': True,"
        " 'messages': [{'role': 'user', 'content': 'Hi'}]}\n"
        "request = urllib.request.Request(os.environ['ANTHROPIC_BASE_URL'] + '/v1/messages',"
        " json.dumps(body).encode(), {'content-type': 'application/json'})\n"
        "try: print(urllib.request.urlopen(request).status)\n"
        "except urllib.error.HTTPError as error: print('refused', error.code)\n"
    )
    async with running(agent=row(folder, tools=["Bash"], max_turns=4)) as agent:
        command = f"{sys.executable} {script}"
        answer = await agent.whole(f"{use('Bash', command=command, description='x')}]")
        assert "refused 403" in results(agent.calls)[0]
        assert {call["body"]["model"] for call in agent.calls} == {"claude-sonnet-5"}
        assert len(agent.calls) == 2
        assert answer.choices[0].finish_reason == "stop"


async def test_its_tools_find_no_file_with_the_request_or_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DOCS_TOKEN", "token-of-the-docs")
    servers = {"docs": docs(tmp_path)}
    async with running(agent=AgentRow(tools=("Bash",), mcp_servers=servers)) as agent:
        command = "ls $TMPDIR/..; grep -rs token-of-the-docs $TMPDIR/.. | head -1"
        ask = use("Bash", command=command, description="x")
        await agent.whole(messages=[{"role": "user", "content": f"{ask}]"}], max_tokens=77)
    (result,) = results(agent.calls)
    assert "work" in result and "json" not in result and "token-of-the-docs" not in result
    assert [call["body"]["max_tokens"] for call in agent.calls] == [77, 77]


async def test_a_tool_may_be_silent_for_longer_than_the_model(folder: Path):
    limits = Timeouts(idle=0.5)
    async with running(agent=row(folder, tools=["Bash"]), timeouts=limits) as agent:
        ask = use("Bash", command="sleep 1.5; echo slept", description="x")
        answer = await agent.whole(f"{ask}]")
    assert answer.choices[0].finish_reason == "stop"
    assert "slept" in results(agent.calls)[0]


async def test_whoever_leaves_leaves_no_command_running(folder: Path):
    """The CLI starts commands in sessions of their own: they would outlive it."""
    mark = folder / "pid"
    async with running(agent=row(folder, tools=["Bash"])) as agent:
        command = f"echo $$ > {mark}; sleep 300"
        task = asyncio.create_task(agent.whole(f"{use('Bash', command=command, description='x')}]"))
        await until(lambda: mark.exists() and mark.read_text().strip() != "", 30)
        shell = int(mark.read_text())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not runs(shell), SECOND)
    assert sorted(os.listdir(folder)) == ["link.txt", "note.txt", "pid"]


async def test_what_its_directory_holds_is_no_instruction(folder: Path):
    plant(folder)
    async with running(agent=row(folder)) as agent:
        await agent.whole("/hello @CLAUDE.md [sandbox words=3]")
    assert CLAUDE_MD not in json.dumps(agent.calls)
    assert files(folder, "*-ran") == []
    assert len(agent.calls) == 1


async def test_the_end_of_the_server_ends_a_run_that_is_being_read(folder: Path):
    async with running(agent=row(folder)) as agent:
        task = asyncio.create_task(agent.whole("Hi [sandbox stall=3]"))
        await until(lambda: agent.open == 1, 30)
        await agent.transport.aclose()
        with pytest.raises(ProviderError):
            await task
