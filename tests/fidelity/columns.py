"""The columns of the matrix."""

from tests.fidelity import (
    anthropic_messages,
    claude_agent,
    gemini_generate,
    openai_chat,
    openai_responses,
)

__all__ = ["COLUMNS"]

COLUMNS = (
    openai_chat.COLUMN,
    openai_responses.COLUMN,
    anthropic_messages.COLUMN,
    gemini_generate.COLUMN,
    claude_agent.COLUMN,
)
