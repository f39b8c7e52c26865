"""An agentic persona over HTTP, with the OpenAI SDK and the real CLI."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.claude_agent.running import NEEDS_CLI
from tests.claude_agent.test_agent import results, use
from tests.claude_agent.test_chat import TOOLS
from tests.http.agent_server import Json, Served, ask, client_of, serving, user
from tests.serving import SandboxProcess

pytestmark = NEEDS_CLI


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    (folder / "note.txt").write_text("the note says hello")
    return folder


@pytest.fixture(scope="module")
def served(
    providers: SandboxProcess, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    opened = {
        "tools": ["Read", "Bash(printenv:*)"],
        "working_directory": str(folder),
        "max_turns": 3,
        "environment": ["AGENT_FACT"],
    }
    temporary = tmp_path_factory.mktemp("files")
    env = {"AGENT_FACT": "from the environment"}
    with serving(providers, temporary, env, pool=1, agent=opened) as found:
        yield found


@pytest.fixture
async def sdk(served: Served) -> AsyncIterator[AsyncOpenAI]:
    served.forget()
    async with client_of(served) as client:
        yield client


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_its_tools_run_on_the_server(
    served: Served, sdk: AsyncOpenAI, folder: Path, stream: bool
) -> None:
    text = f'{use("Read", file_path=str(folder / "note.txt"))} say="I looked."]'
    answer = await ask(sdk, stream, [user(text)])
    assert answer.choices[0].message.content == "I looked.\n\nI looked."
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].finish_reason == "stop"
    assert len(served.calls) == 2
    assert "the note says hello" in str(served.calls[-1]["body"]["messages"])


async def test_a_request_opens_nothing(served: Served, sdk: AsyncOpenAI) -> None:
    """What a client sends under the names of the policy's options is reported, and no more."""
    extra: Json = {"agent": {"tools": ["Write"]}, "allowed_tools": ["Write"], "cwd": "/"}
    raw = await sdk.chat.completions.with_raw_response.create(
        model="claude", messages=[{"role": "user", "content": "Hi"}], extra_body=extra
    )
    assert set(raw.headers["x-ep-ignored-params"].split(", ")) == set(extra)
    assert {tool["name"] for tool in served.calls[0]["body"]["tools"]} == {"Bash", "Read"}


async def test_tools_of_a_client_go_to_a_provider_that_has_none_of_its_own(
    served: Served, sdk: AsyncOpenAI
) -> None:
    fields: Any = {"messages": [{"role": "user", "content": "[sandbox tool=weather]"}]}
    fields["tools"] = TOOLS
    create: Any = sdk.chat.completions.with_raw_response.create
    raw = await create(model="either", **fields)
    assert raw.headers["x-ep-provider"] == "anthropic"
    assert raw.parse().choices[0].finish_reason == "tool_calls"
    with pytest.raises(openai.BadRequestError) as caught:
        await sdk.chat.completions.create(model="claude", **fields)
    assert caught.value.param == "tools"
    assert "its policy names" in caught.value.message


async def test_variables_reach_its_tools(served: Served, sdk: AsyncOpenAI) -> None:
    for name, expected in (("AGENT_FACT", "from the environment"), ("UPSTREAM_KEY", "Exit code 1")):
        served.forget()
        text = f"{use('Bash', command=f'printenv {name}', description='x')}]"
        await ask(sdk, False, [user(text)])
        (said,) = results(served.calls)
        assert expected in said


async def test_the_limit_of_its_calls_is_told(
    served: Served, sdk: AsyncOpenAI, folder: Path
) -> None:
    text = f"{use('Read', file_path=str(folder / 'note.txt'))} rounds=9]"
    answer = await ask(sdk, False, [user(text)])
    assert answer.choices[0].finish_reason == "length"
    assert len(served.calls) == 3
