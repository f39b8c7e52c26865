"""Three personas at once, and a fourth that makes one text of theirs."""

import asyncio
import os

from execution_platform.exceptions import ProviderError
from execution_platform.router import PersonaRouter
from execution_platform.spi import ChatRequest, Message

os.environ.setdefault("EP_SANDBOX", "1")

CODE = "def mean(values): return sum(values) / len(values)"
BOARD = ("architect", "reviewer", "qa_engineer")


async def opinion(router: PersonaRouter, persona: str) -> str:
    request = ChatRequest([Message("user", f"What do you think of this?\n\n{CODE}")])
    try:
        answer = await router.get_client(persona).chat(request)
    except ProviderError as error:
        return f"{persona} could not be asked: {error}"
    return f"{persona} ({answer.provider}): {answer.text}"


async def main() -> None:
    async with PersonaRouter() as router:
        opinions = await asyncio.gather(*(opinion(router, persona) for persona in BOARD))
        print("\n\n".join(opinions))
        request = ChatRequest(
            [Message("user", "Make one list of this:\n\n" + "\n\n".join(opinions))]
        )
        print("\n" + (await router.get_client("code_writer").chat(request)).text)


if __name__ == "__main__":
    asyncio.run(main())
