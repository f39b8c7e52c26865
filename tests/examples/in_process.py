"""The platform inside a program: no server, the same personas, routing and errors."""

import asyncio
import os

from execution_platform.exceptions import RouterError
from execution_platform.router import PersonaRouter
from execution_platform.spi import ChatRequest, Message

os.environ.setdefault("EP_SANDBOX", "1")


async def main() -> None:
    async with PersonaRouter() as router:
        try:
            client = router.get_client("architect")
        except RouterError as error:
            raise SystemExit(str(error)) from None
        request = ChatRequest([Message("user", "Design a REST API")], max_tokens=1000)
        async for chunk in client.chat(request):
            print(chunk.delta_text or "", end="", flush=True)
        print()

        answer = await client.chat(request)
        print(f"[{answer.provider}, {answer.model}, ignored: {answer.report.ignored or 'nothing'}]")


if __name__ == "__main__":
    asyncio.run(main())
