"""A server and its streams over plain sockets, for `claude_agent.py`: slow enough for Python."""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


def rss(pid: int) -> int:
    """Return the resident set of a process, in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def start(policy: str) -> tuple[subprocess.Popen[str], int, float]:
    """Start a server; return it, its port, and the seconds until its first answer."""
    environment = {
        **os.environ,
        "EP_POLICY": policy,
        "EP_LOG_LEVEL": "warning",
        "EP_BENCH_KEY": "x",
    }
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    port = 0
    for line in process.stdout:
        if "listens on" in line:
            port = int(line.strip().rpartition(":")[2])
            break
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
        assert answer.status == 200
    return process, port, time.perf_counter() - begun


def request(persona: str, text: str, *, stream: bool) -> bytes:
    """Return an HTTP request."""
    message = {"role": "user", "content": text}
    body = json.dumps({"model": persona, "messages": [message], "stream": stream}).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def one_stream(port: int, persona: str, text: str, counts: dict[str, int]) -> None:
    """Read one streamed answer to its end; count how it went."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request(persona, text, stream=True))
        data, begun = b"", False
        while b"data: [DONE]" not in data[-64:]:
            piece = await reader.read(65536)
            if not piece or b'{"error"' in piece:
                counts["failed"] += 1
                if counts["failed"] == 1:
                    print("  first failure:", (data + piece)[-400:])
                return
            if not begun and b'"content":' in piece:
                begun = True
                counts["open"] += 1
            data = (data + piece)[-128:]
        counts["done"] += 1
        counts["open"] -= 1
    finally:
        writer.close()


def new_counts() -> dict[str, int]:
    """Return fresh counters."""
    return {"open": 0, "done": 0, "failed": 0}
