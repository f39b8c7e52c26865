"""What an operator lets an agent do on the machine: tools, servers, bounds. Never a request.

Claude's command line brings tools that read files, change them and run commands. A row without
`agent` has none of them; a persona that prefers a row with it is an agentic persona.
"""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from policy.rows import Row, VariableNames, has_secret, problem
from policy.spelling import did_you_mean, listed

__all__ = ["AgentRow", "McpServerRow"]

_TOOL = re.compile(r"[A-Z][A-Za-z]*(\([^()\n]+\))?")
_SERVER = re.compile(r"[a-z][a-z0-9_-]*")
_SUBAGENTS = frozenset({"Agent", "Task"})
_WEB = frozenset({"WebFetch", "WebSearch"})
_KNOWN = ("Bash", "Edit", "Glob", "Grep", "NotebookEdit", "Read", "Write")
"""The tools of CLI 2.1.330 that work without a terminal, within one request, and ask no model on
their own. Of one that it does not have it would say nothing."""
_RESERVED = "c"
_MCP_TOOL = re.compile(r"[A-Za-z0-9_.-]+")
_HEADER = re.compile(r"[A-Za-z0-9-]+")


def _tool(name: str) -> str:
    if name.partition("(")[0] in _WEB:
        raise problem(
            "this tool asks a model on its own, which would be in no answer's `usage`",
            "Remove it; an MCP server can open the web to an agent.",
        )
    if name.partition("(")[0] in _SUBAGENTS:
        raise problem(
            "an agent has no agents of its own: what they spend would be in no answer's `usage`",
            "Remove it.",
        )
    if not _TOOL.fullmatch(name):
        raise problem(
            "this is not a tool of the Claude CLI",
            "Write its name, for instance `Read`, or a rule such as `Bash(git log:*)`.",
        )
    if (tool := name.partition("(")[0]) not in _KNOWN:
        raise problem(
            f"the Claude CLI has no tool `{tool}` for an agent",
            f"{did_you_mean(tool, _KNOWN)} Known: {listed(_KNOWN)}.".lstrip(),
        )
    return name


def _mcp_tool(name: str) -> str:
    # The CLI splits its list of rules at commas and blanks: a name must not bring another rule.
    if not _MCP_TOOL.fullmatch(name):
        raise problem(
            "this is not the name of an MCP server's tool", "Write it as the server does."
        )
    return name


def _words(text: str) -> str:
    if has_secret(text):
        raise problem(
            "this looks like a key",
            "Put it in an environment variable and name that in `environment`.",
        )
    return text


class McpServerRow(Row):
    """One MCP server whose tools an agent may use: a program, or an address.

    Attributes:
        command: The program that is started for each run.
        args: Its arguments.
        environment: The variables that it gets of ours.
        type: How a server at an address speaks.
        url: Its address.
        headers_env: Header to the environment variable that holds its value.
        tools: Which of its tools may be used; None: all.
    """

    command: str | None = Field(default=None, min_length=1)
    args: Annotated[tuple[Annotated[str, AfterValidator(_words)], ...], Field(strict=False)] = ()
    environment: VariableNames = ()
    type: Literal["http", "sse"] = "http"
    url: str | None = None
    headers_env: dict[str, str] = Field(default_factory=dict[str, str])
    tools: (
        Annotated[tuple[Annotated[str, AfterValidator(_mcp_tool)], ...], Field(strict=False)] | None
    ) = None

    @field_validator("url")
    @classmethod
    def _is_a_url(cls, url: str | None) -> str | None:
        if url is not None:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
                raise problem(
                    "this is not the URL of a server",
                    "Write for instance `https://mcp.example.com/mcp`, without credentials.",
                )
        return url

    @field_validator("headers_env")
    @classmethod
    def _names_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, variable in headers.items():
            if not _HEADER.fullmatch(name) or has_secret(variable) or not variable.isidentifier():
                raise problem(
                    "a header goes with the name of the variable that holds its value",
                    "Write for instance `authorization: DOCS_TOKEN`.",
                )
        return headers

    @model_validator(mode="after")
    def _is_one_of_two(self) -> "McpServerRow":
        if (self.command is None) == (self.url is None):
            raise problem(
                "a server is either a program or an address", "Give it `command`, or `url`."
            )
        if self.tools == ():
            raise problem(
                "an empty list opens no tool", "Leave `tools` out for all, or the server for none."
            )
        given = {"args", "environment"} if self.command is None else {"type", "headers_env"}
        if without_effect := sorted(given & self.model_fields_set):
            what = "url" if self.command is None else "command"
            raise problem(f"`{without_effect[0]}` has no effect with `{what}`", "Remove it.")
        return self


class AgentRow(Row):
    """What an agent may do on its own, within one request.

    Attributes:
        tools: The CLI's own tools that it may use, each by name or with a rule of the CLI's; all
            others are refused.
        working_directory: The directory that its tools work in, absolute; None: an empty one that
            goes with the run.
        mcp_servers: More tools, by the server's name.
        max_turns: The most calls of the API in one request.
        max_budget_usd: The most that a request may cost, in US dollars at list prices; None: no
            limit but the others.
        environment: The variables that its tools and MCP servers get of ours.
    """

    tools: Annotated[tuple[Annotated[str, AfterValidator(_tool)], ...], Field(strict=False)] = ()
    working_directory: str | None = None
    mcp_servers: dict[str, McpServerRow] = Field(default_factory=dict[str, McpServerRow])
    max_turns: int = Field(default=10, ge=1, le=1000)
    max_budget_usd: float | None = Field(default=None, ge=0.000001)
    environment: VariableNames = ()

    @property
    def variables(self) -> frozenset[str]:
        """The environment variables that it needs of ours, all together."""
        servers = self.mcp_servers.values()
        return frozenset(self.environment).union(
            *(server.environment for server in servers),
            *(server.headers_env.values() for server in servers),
        )

    @property
    def summary(self) -> str:
        """What it may do, in words for the operator."""
        servers = [f"the MCP server {name}" for name in self.mcp_servers]
        where = self.working_directory or "an empty directory"
        return f"runs {', '.join([*self.tools, *servers])} in {where}"

    @field_validator("working_directory")
    @classmethod
    def _is_absolute(cls, path: str | None) -> str | None:
        if path is not None and (not path.startswith("/") or "\0" in path):
            raise problem("this is not an absolute path", "Write for instance `/srv/checkout`.")
        return path

    @field_validator("mcp_servers")
    @classmethod
    def _are_names(cls, servers: dict[str, McpServerRow]) -> dict[str, McpServerRow]:
        for name in servers:
            if not _SERVER.fullmatch(name) or name == _RESERVED or "__" in name:
                raise problem(
                    f"`{name[:64]}` is not a name for a server",
                    "Use small letters, digits, `-` and `_`, and begin with a letter; "
                    f"`{_RESERVED}` is taken.",
                )
        return servers

    @model_validator(mode="after")
    def _may_do_something(self) -> "AgentRow":
        if not self.tools and not self.mcp_servers:
            raise problem(
                "an agent needs `tools` or `mcp_servers`", "Name some, or leave `agent` out."
            )
        return self
