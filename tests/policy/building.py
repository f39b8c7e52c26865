"""Builds policies from text, over a small shipped one."""

import pytest

from policy.build import CapabilityTable, build, merged
from policy.document import parse
from policy.errors import PolicyError
from policy.schema import Policy

SHIPPED = """\
providers:
  openai:
    dialect: openai_chat
    base_url: https://api.openai.com/v1/
    api_key_env: [EP_OPENAI_API_KEY, OPENAI_API_KEY]
    model: gpt-5.2
    timeouts: {connect: 3, idle: 20}
  anthropic:
    dialect: anthropic_messages
    base_url: https://api.anthropic.com
    api_key_env: ANTHROPIC_API_KEY
    model: claude-sonnet-5
personas:
  architect:
    provider_preferences: [anthropic, openai]
"""
TABLE = CapabilityTable(
    providers={"openai": ("vision", "streaming")}, dialects={"openai_chat": ("streaming",)}
)


def read(name: str) -> str:
    texts = {"prompt.md": "Be helpful.\n", "empty.md": " \n"}
    if name == "latin.md":
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    if name not in texts:
        raise FileNotFoundError(2, "No such file or directory", name)
    return texts[name]


def made(text: str) -> Policy:
    document = merged(parse(SHIPPED, "shipped.yaml"), parse(text, "my.yaml"))
    return build(document, capabilities=TABLE, read_prompt=read)


def refused(text: str) -> tuple[PolicyError, ...]:
    with pytest.raises(PolicyError) as raised:
        made(text)
    return raised.value.errors


def persona(line: str) -> str:
    return f"personas:\n  p:\n    provider_preferences: [openai]\n    {line}\n"


def provider(line: str) -> str:
    return f"providers:\n  openai:\n    {line}\n"
