"""Start-up, memory per open stream and added latency of one worker.

    python -m tests.benchmarks.streams [--streams 1000] [--seconds 20] [--ramp 5]

A server process as users run it, between the sandbox (the provider) and plain sockets (the
clients), both in this process. Loopback only; bounded in count and time. Prints a table.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from proxy.sandbox.server import SandboxServer

PAGE = os.sysconf("SC_PAGE_SIZE")

POLICY = """\
providers:
  openai: {{base_url: "{openai}", api_key_env: [EP_BENCH_KEY]}}
  anthropic: {{base_url: "{anthropic}", api_key_env: [EP_BENCH_KEY]}}
personas:
  claude: {{provider_preferences: [anthropic]}}
  gpt: {{provider_preferences: [openai]}}
"""


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


async def streams(
    pid: int, port: int, persona: str, *, count: int, seconds: float, ramp: float
) -> None:
    """Open many slow streams within `ramp` seconds; print memory per stream."""
    gap = 1.0
    text = f"[sandbox gap={gap} chunks={int(seconds / gap)} words={int(seconds / gap) * 4}]"
    await asyncio.gather(
        *(one_stream(port, persona, "[sandbox words=8]", new_counts()) for _ in range(20))
    )
    idle = rss(pid)
    counts = new_counts()
    plateau, most = 0, 0
    begun = time.perf_counter()
    tasks: list[asyncio.Task[None]] = []
    for _ in range(count):
        tasks.append(asyncio.create_task(one_stream(port, persona, text, counts)))
        if ramp:
            await asyncio.sleep(ramp / count)
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0.25)
        most = max(most, counts["open"])
        if counts["open"] == count:
            plateau = max(plateau, rss(pid))
    await asyncio.gather(*tasks)
    print(
        f"  {persona:7} {count} streams at once (most open {most}), {counts['done']} complete, "
        f"{counts['failed']} failed, {time.perf_counter() - begun:.1f} s; RSS {idle / 2**20:.1f} "
        f"-> {plateau / 2**20:.1f} MiB: {(plateau - idle) / count / 1024:.1f} KiB per stream"
    )


def new_counts() -> dict[str, int]:
    """Return fresh counters."""
    return {"open": 0, "done": 0, "failed": 0}


async def latency(port: int, persona: str, count: int) -> list[float]:
    """Return the milliseconds of sequential requests on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times: list[float] = []
    for _ in range(count):
        begun = time.perf_counter()
        writer.write(request(persona, "[sandbox say=ok]", stream=False))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        times.append((time.perf_counter() - begun) * 1000)
    writer.close()
    return times


async def measure(options: argparse.Namespace) -> None:
    """Run everything."""
    async with SandboxServer() as sandbox:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as policy:
            policy.write(
                POLICY.format(openai=sandbox.openai_base_url, anthropic=sandbox.anthropic_base_url)
            )
            policy.flush()
            ready: list[float] = []
            for _ in range(5):
                process, port, seconds = await asyncio.to_thread(start, policy.name)
                ready.append(seconds)
                process.terminate()
                await asyncio.to_thread(process.wait)
            print(f"start to first answer: median {statistics.median(ready):.2f} s, {ready=}")
            for persona in ("claude", "gpt"):
                # A fresh server each: memory once taken is not given back.
                process, port, _ = await asyncio.to_thread(start, policy.name)
                try:
                    times = sorted(await latency(port, persona, 500))
                    print(
                        f"  {persona:7} not streamed, one connection: p50 {times[250]:.2f} ms, "
                        f"p99 {times[495]:.2f} ms, the sandbox's own time included"
                    )
                    await streams(
                        process.pid,
                        port,
                        persona,
                        count=options.streams,
                        seconds=options.seconds,
                        ramp=options.ramp,
                    )
                finally:
                    process.terminate()
                    await asyncio.to_thread(process.wait)


def main() -> None:
    """Parse the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--ramp", type=float, default=5, help="0: all in the same instant")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
