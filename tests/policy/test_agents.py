"""What an operator opens to an agent is read strictly, and each mistake has its remedy."""

from typing import Any

import pytest
from pydantic import ValidationError

from policy.providers import ProviderRow

ROW = {"dialect": "claude_agent", "base_url": "http://api", "model": "claude-sonnet-5"}


def agent(**fields: Any) -> Any:
    return ProviderRow.model_validate({**ROW, "agent": fields}).agent


def refusal(**fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        agent(**fields)
    (error,) = caught.value.errors()
    context: Any = error.get("ctx", {})
    return f"{error['msg']}. {context.get('remedy', '')}"


def test_nothing_is_open_unless_it_is_named():
    assert ProviderRow.model_validate(ROW).agent is None
    opened = agent(tools=["Read"])
    assert opened.tools == ("Read",)
    assert opened.working_directory is None and opened.mcp_servers == {}
    assert opened.environment == ()
    assert opened.max_turns == 10 and opened.max_budget_usd is None


def test_all_that_can_be_opened():
    opened = agent(
        tools=["Read", "Bash(git log:*)"],
        working_directory="/srv/checkout",
        mcp_servers={
            "docs": {"command": "docs-mcp", "args": ["--stdio"], "environment": ["DOCS_TOKEN"]},
            "web": {"url": "https://mcp.example.com/mcp", "headers_env": {"authorization": "WEB"}},
        },
        max_turns=3,
        max_budget_usd=0.5,
        environment=["GIT_AUTHOR_NAME"],
    )
    assert opened.mcp_servers["docs"].command == "docs-mcp"
    assert opened.mcp_servers["web"].type == "http"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "needs `tools` or `mcp_servers`"),
        ({"tools": ["read file"]}, "not a tool of the Claude CLI"),
        ({"tools": ["Bash(git log"]}, "not a tool of the Claude CLI"),
        ({"tools": ["--dangerously-skip-permissions"]}, "not a tool of the Claude CLI"),
        ({"tools": ["Read"], "working_directory": "checkout"}, "not an absolute path"),
        ({"tools": ["WebSearch"]}, "asks a model on its own"),
        ({"tools": ["Task"]}, "no agents of its own"),
        ({"tools": ["Reed"]}, "Did you mean `Read`?"),
        (
            {"mcp_servers": {"x": {"command": "y", "tools": ["z,Bash"]}}},
            "not the name of an MCP server's tool",
        ),
        ({"mcp_servers": {"x": {"command": "y", "tools": []}}}, "opens no tool"),
        ({"tools": ["Read"], "max_budget_usd": 1e-7}, "greater than or equal to 0.000001"),
        ({"tools": ["Read"], "max_turns": 0}, "greater than or equal to 1"),
        ({"tools": ["Read"], "environment": ["lower"]}, "not the name of an environment variable"),
        ({"tools": ["Read"], "everything": True}, "Extra inputs are not permitted"),
        ({"mcp_servers": {"c": {"command": "x"}}}, "`c` is taken"),
        ({"mcp_servers": {"My Docs": {"command": "x"}}}, "not a name for a server"),
        ({"mcp_servers": {"a__b": {"command": "x"}}}, "not a name for a server"),
        ({"mcp_servers": {"d": {}}}, "either a program or an address"),
        ({"mcp_servers": {"d": {"command": "x", "url": "http://y"}}}, "either a program or an"),
        ({"mcp_servers": {"d": {"url": "ftp://y"}}}, "not the URL of a server"),
        ({"mcp_servers": {"d": {"url": "http://u:p@y"}}}, "not the URL of a server"),
        ({"mcp_servers": {"d": {"url": "http://y", "args": ["x"]}}}, "`args` has no effect"),
        ({"mcp_servers": {"d": {"command": "x", "type": "sse"}}}, "`type` has no effect"),
        ({"mcp_servers": {"d": {"command": "x", "args": ["sk-ant-api03-1234567890123"]}}}, "a key"),
        (
            {
                "mcp_servers": {
                    "d": {"url": "http://y", "headers_env": {"authorization": "Bearer x"}}
                }
            },
            "the name of the variable",
        ),
    ],
)
def test_a_mistake_is_told(fields: dict[str, Any], says: str):
    assert says in refusal(**fields)


@pytest.mark.parametrize("option", ["pool", "processes", "queue", "patience", "login", "agent"])
def test_the_options_of_the_cli_are_for_it_alone(option: str):
    values: dict[str, Any] = {"patience": 1.0, "login": "never", "agent": {"tools": ["Read"]}}
    fields = {**ROW, "dialect": "anthropic_messages", option: values.get(option, 1)}
    with pytest.raises(ValidationError, match="no effect with the dialect"):
        ProviderRow.model_validate(fields)


def test_a_pool_may_be_empty_and_is_bounded():
    assert ProviderRow.model_validate({**ROW, "pool": 0}).pool == 0
    with pytest.raises(ValidationError):
        ProviderRow.model_validate({**ROW, "pool": 1000})
