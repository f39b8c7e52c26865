from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.claude_agent.running import Agent, running


@pytest.fixture
async def agent(request: pytest.FixtureRequest) -> AsyncIterator[Agent]:
    """Whole answers come of processes that are started for them, streams of parked ones."""
    callspec: Any = getattr(request.node, "callspec", None)
    streamed = callspec is not None and callspec.params.get("way") == "streamed"
    async with running(pool=int(streamed)) as agent:
        yield agent
