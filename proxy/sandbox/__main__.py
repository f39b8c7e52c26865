"""`python -m proxy.sandbox [PORT]`: the sandbox in a process of its own, for benchmarks and CI."""

import asyncio
import sys

from proxy.sandbox.server import SandboxServer


async def _serve(port: int) -> None:
    async with SandboxServer(port=port) as server:
        urls = (server.openai_base_url, server.anthropic_base_url, server.gemini_base_url)
        sys.stdout.write("".join(f"{url}\n" for url in urls))
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(_serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
    except KeyboardInterrupt:
        sys.exit(130)
