"""What it takes from a request to the CLI's call of the API, and what many requests leave behind.

    python -m tests.benchmarks.claude_agent [--requests 20] [--row 50]

A server process as users run it, with the real CLI, between the sandbox (the API) and a client,
both in this process. Loopback only; bounded in count. One request at a time, on a machine that does
nothing else: a parked process gets the time to be ready. Prints a table.
"""

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from proxy.claude_cli import find_cli
from proxy.sandbox.app import create_sandbox
from proxy.sandbox.server import SandboxServer
from tests.benchmarks.streams import new_counts, one_stream, rss, start

POLICY = """\
providers:
  claude_agent: {{base_url: "{url}", api_key_env: [EP_BENCH_KEY], pool: {pool}}}
personas:
  claude: {{provider_preferences: [claude_agent], system_prompt: "You are brief."}}
"""
READY = 3.0
"""Seconds in which a process that was parked just now gets ready."""


class Arrivals:
    """Notes when calls of the API arrive."""

    def __init__(self, app: ASGIApp, times: list[float]) -> None:
        self._app = app
        self._times = times

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"].endswith("/v1/messages"):
            self._times.append(time.perf_counter())
        await self._app(scope, receive, send)


@asynccontextmanager
async def server(pool: int, times: list[float]) -> AsyncGenerator[tuple[int, int, Path]]:
    """Run sandbox and server; yield the server's process id, its port and its temporary files."""
    app = create_sandbox()
    app.add_middleware(Arrivals, times=times)
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "tmp"
        temporary.mkdir()
        async with SandboxServer(app=app) as sandbox:
            policy = Path(folder) / "policy.yaml"
            policy.write_text(POLICY.format(url=sandbox.anthropic_base_url, pool=pool))
            os.environ["TMPDIR"] = str(temporary)
            process, port, _ = await asyncio.to_thread(start, str(policy))
            try:
                yield process.pid, port, temporary
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    await asyncio.to_thread(process.wait, 20)
                except subprocess.TimeoutExpired:
                    process.kill()
                left = [*temporary.iterdir(), *agents(process.pid)]
                print(f"  after the server's end: {len(left)} files and processes left")


def agents(parent: int) -> Iterator[int]:
    """Yield the ids of the CLI's processes below `parent`, zombies too."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition(" (")[2].rpartition(")")
        except OSError:
            continue  # It ended while we looked.
        if "claude" in name and int(rest.split()[1]) == parent:
            yield int(stat.parent.name)


async def ask(port: int) -> float:
    """Ask once; return when the request was sent."""
    counts = new_counts()
    begun = time.perf_counter()
    await one_stream(port, "claude", "Hi [sandbox words=8]", counts)
    if not counts["done"]:
        raise SystemExit("A request failed.")
    return begun


async def delays(name: str, *, pool: int, requests: int) -> None:
    """Print how long it takes until the API is called."""
    times: list[float] = []
    async with server(pool, times) as (_, port, _):
        await asyncio.sleep(READY if pool else 0)
        await ask(port)  # Loads the SDK.
        found: list[float] = []
        for _ in range(requests):
            await asyncio.sleep(READY if pool else 0.2)
            times.clear()
            begun = await ask(port)
            if len(times) != 1:
                raise SystemExit(f"{len(times)} calls of the API for one request.")
            found.append(times[0] - begun)
    found.sort()
    print(
        f"{name:<10} request to call of the API: median {statistics.median(found):.3f} s, "
        f"least {found[0]:.3f}, most {found[-1]:.3f} ({requests} requests)"
    )


async def row(requests: int) -> None:
    """Print what many requests, one after the other, leave."""
    times: list[float] = []
    async with server(2, times) as (pid, port, temporary):
        await asyncio.sleep(READY)
        await ask(port)
        await asyncio.sleep(READY)
        before = (len(list(agents(pid))), files(temporary), descriptors(pid), rss(pid))
        times.clear()
        begun = time.perf_counter()
        for _ in range(requests):
            await ask(port)
        took = time.perf_counter() - begun
        await asyncio.sleep(READY)
        after = (len(list(agents(pid))), files(temporary), descriptors(pid), rss(pid))
        print(f"in a row   {requests} requests, {len(times)} calls of the API, {took:.1f} s")
        for name, one, other in zip(
            ("parked processes", "files", "open descriptors"), before, after, strict=False
        ):
            print(f"           {name}: {one} before, {other} after")
        print(f"           memory: {before[3] >> 20} MiB before, {after[3] >> 20} MiB after")


def files(folder: Path) -> int:
    """Return how many files and directories are below a folder."""
    return sum(1 for _ in folder.rglob("*"))


def descriptors(pid: int) -> int:
    """Return how many files and connections a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


async def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=20, help="for each figure (default 20)")
    parser.add_argument("--row", type=int, default=50, help="one after the other (default 50)")
    options = parser.parse_args()
    if find_cli() is None:
        print("claude_agent is not measured: the extra `claude-agent` is not installed")
        return
    await delays("spawned", pool=0, requests=options.requests)
    await delays("parked", pool=1, requests=options.requests)
    await row(options.row)


if __name__ == "__main__":
    asyncio.run(main())
