"""A real MCP server over standard input and output, for an agent of the tests."""

import os
import sys
from pathlib import Path

from mcp.server import MCPServer

server = MCPServer("docs")


@server.tool()
def search(text: str) -> str:
    """Search the documents."""
    variables = " ".join(sorted(os.environ))
    return f"found {text}, as {os.environ.get('DOCS_TOKEN')}; variables: {variables}"


@server.tool()
def forget() -> str:
    """Forget all documents."""
    Path(sys.argv[1]).touch()
    return "forgotten"


if __name__ == "__main__":
    server.run()
