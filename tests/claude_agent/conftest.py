from collections.abc import AsyncIterator

import pytest

from tests.claude_agent.running import Agent, running


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    async with running() as agent:
        yield agent
