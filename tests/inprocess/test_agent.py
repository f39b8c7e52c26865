"""The personas as shipped, whose first provider is an agent: with the real CLI, on the sandbox."""

import subprocess
import sys
import tempfile
from pathlib import Path

from proxy.providers.claude_agent.surroundings import PREFIX
from tests.claude_agent.running import NEEDS_CLI
from tests.serving import clean_environment

PROGRAM = """
import asyncio, os
from execution_platform.router import PersonaRouter
from execution_platform.spi import ChatRequest, Message

async def answered(messages):
    router = PersonaRouter()
    assert router.select_provider("architect") == "claude_agent"
    chat = router.get_client("architect").chat(ChatRequest(messages))
    text = "".join([chunk.delta_text or "" async for chunk in chat])
    assert chat.served.provider == "claude_agent"
    return text

async def left():
    client = PersonaRouter().get_client("architect")
    slow = Message("user", "Hi [sandbox words=99 gap=0.05]")
    async for chunk in client.chat(ChatRequest([slow])):
        return

assert asyncio.run(answered([Message("user", "Hi [sandbox say=ok]")])) == "ok"
draft = [Message("user", "Review"), Message("assistant", "a draft")]
assert "> The message above is context." in asyncio.run(answered(draft))
asyncio.run(left())
print(os.getpid())
"""


@NEEDS_CLI
def test_a_program_leaves_no_process_and_no_directory(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env=clean_environment({"EP_SANDBOX": "1", "EP_POLICY": ""}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (0, "")
    pid = int(done.stdout)
    assert list(Path(tempfile.gettempdir()).glob(f"{PREFIX}{pid}-*")) == []
    # A process that outlives the one that started it would name that one's directory.
    for told in Path("/proc").glob("[0-9]*/environ"):
        try:
            assert f"{PREFIX}{pid}-".encode() not in told.read_bytes(), told
        except OSError:
            continue  # It ended while we looked, or is not ours.
