"""The column `claude_agent` of the fidelity matrix, where it counts: in the real CLI's call."""

import base64
import json
import os
import random
import string
import struct
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.sandbox.anthropic_messages.content import sign
from tests.claude_agent.running import NEEDS_CLI, Agent, running
from tests.fidelity.cells import Cell, at
from tests.fidelity.claude_agent import COLUMN, in_the_call
from tests.fidelity.rows import ROWS, Row

pytestmark = NEEDS_CLI

Json = dict[str, Any]

SIGNATURE = sign("a", "b")
"""The sandbox takes only thoughts that it has signed."""

CELLS = [
    pytest.param(row, cell, id=f"{row.name}-{number}")
    for row in ROWS
    for number, cell in enumerate(COLUMN.cells[row.name])
    if cell.verdict != "rejected"
]
EPHEMERAL = {"type": "ephemeral"}


@pytest.fixture
async def parked() -> AsyncIterator[Agent]:
    async with running(pool=1) as agent:
        yield agent


@pytest.mark.parametrize(("row", "cell"), CELLS)
async def test_what_is_told_is_in_the_call(agent: Agent, row: Row, cell: Cell):
    """Nor does the API refuse the call: what is ignored is not sent, and nothing is in its way."""
    used: Json = json.loads(json.dumps(row.used).replace('"c2ln"', f'"{SIGNATURE}"'))
    used.pop("stream", None)
    answer = await agent.whole(**used, model=cell.model or COLUMN.model)
    assert answer.choices[0].finish_reason
    for path, value in cell.evidence.items():
        if (place := in_the_call(path)) is not None:
            expected = SIGNATURE if value == "c2ln" else value
            assert at(agent.body, place) == expected, place


@pytest.mark.parametrize("way", ["whole", "streamed"])
async def test_the_cli_marks_what_is_to_be_cached(agent: Agent, way: str):
    """Whatever the client marked: the end of the system prompt, and that of the last turn."""
    mark = {**EPHEMERAL, "ttl": "1h"}
    part = {"type": "text", "text": "Hi", "cache_control": mark}
    point = {"type": "text", "text": "Ho", "prompt_cache_breakpoint": {"mode": "explicit"}}
    await getattr(agent, way)(
        messages=[
            {"role": "system", "content": [part]},
            {"role": "user", "content": [part, point]},
            {"role": "assistant", "content": "Yes."},
            {"role": "user", "content": "And?"},
        ],
        prompt_cache_options={"mode": "implicit"},
        prompt_cache_retention="24h",
    )
    assert agent.report.emulated == (
        "prompt_cache_options",
        "messages[].content[].cache_control",
        "messages[].content[].prompt_cache_breakpoint",
    )
    assert agent.report.ignored == (
        "prompt_cache_retention",
        "messages[].content[].cache_control.ttl",
    )
    body = agent.body
    *_, prompt = body["system"]
    *_, last = body["messages"]
    assert prompt["cache_control"] == last["content"][-1]["cache_control"] == EPHEMERAL
    blocks = [*body["system"], *(block for turn in body["messages"] for block in turn["content"])]
    # The API takes four; and none lasts longer than another.
    assert sum("cache_control" in block for block in blocks) <= 4
    assert '"1h"' not in json.dumps(body)


def image(width: int, height: int, *, noise: bool = False) -> str:
    """Return the base64 of a PNG."""
    rows = (os.urandom(width * 3) if noise else bytes(width * 3) for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 1)
    parts = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).decode()


IMAGES = {
    "wider than 2000": ("image/png", image(3000, 20)),
    "larger than half a MB": ("image/png", image(500, 500, noise=True)),
    "of another type than said": ("image/jpeg", image(2, 2)),
    "of which there is only a beginning": ("image/png", image(2, 2)[:12]),
}


@pytest.mark.parametrize("where", ["earlier", "last", "result"])
@pytest.mark.parametrize("case", IMAGES)
async def test_an_image_arrives_as_the_client_sent_it(parked: Agent, case: str, where: str):
    """The CLI would make some of them smaller, and put words in place of others."""
    kind, data = IMAGES[case]
    url = {"url": f"data:{kind};base64,{data}"}
    parts = [{"type": "text", "text": "Look."}, {"type": "image_url", "image_url": url}]
    question: Json = {"role": "user", "content": parts}
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages: dict[str, list[Json]] = {
        "last": [question],
        "earlier": [
            question,
            {"role": "assistant", "content": "Yes."},
            {"role": "user", "content": "And?"},
        ],
        "result": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": parts},
        ],
    }
    tools = [{"type": "function", "function": {"name": "look"}}]
    answer = await parked.whole(messages=messages[where], tools=tools)
    assert answer.choices[0].finish_reason
    body = parked.body
    turn = body["messages"][2 if where == "result" else 0]
    blocks: list[Json] = turn["content"]
    if where == "result":
        blocks = blocks[0]["content"]
    source = {"type": "base64", "media_type": kind, "data": data}
    assert [block["type"] for block in blocks] == ["text", "image"]
    assert blocks[1]["source"] == source
    assert body["messages"][-1]["content"][-1]["cache_control"] == EPHEMERAL


async def test_images_arrive_that_no_file_of_settings_can_hold():
    """A process that is started for its request is told them through its input."""
    data = "".join(random.Random(7).choices(string.ascii_letters, k=3 * 1024 * 1024))
    url = {"url": f"data:image/png;base64,{data}"}
    async with running(pool=0) as agent:
        await agent.whole(
            messages=[{"role": "user", "content": [{"type": "image_url", "image_url": url}]}]
        )
    assert at(agent.body, "messages/0/content/0/source")["data"] == data


async def test_an_image_arrives_with_a_login_too(monkeypatch: pytest.MonkeyPatch):
    """Where the CLI has more to say of its own."""
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat-sandbox")
    kind, data = IMAGES["larger than half a MB"]
    url = {"url": f"data:{kind};base64,{data}"}
    async with running(login=True) as agent:
        await agent.whole(
            messages=[{"role": "user", "content": [{"type": "image_url", "image_url": url}]}]
        )
    source = {"type": "base64", "media_type": kind, "data": data}
    assert at(agent.body, "messages/0/content/0/source") == source
