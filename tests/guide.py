"""The integration guide, which lies beside the checkout, no part of it; its blocks, as they stand.

Nothing of it is typed again: what the guide promises is what the tests run.
"""

import ast
import inspect
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.recordings import recorded_folder

__all__ = ["GUIDE", "Block", "absent", "block", "blocks", "parameters", "run"]

GUIDE: Final = recorded_folder().parent / "reference" / "integration-guide.md"
"""Where it should be: the recordings stand beside it. Tests may change the environment later."""

_FENCE = re.compile(r"^```(\w*)\s*$")
_HEADING = re.compile(r"^#+ +(.+?)\s*$")


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        heading: The heading that it stands under.
        number: From 1, of the blocks of its language under that heading.
        language: For instance `python`.
        text: What is between its fences.
    """

    heading: str
    number: int
    language: str
    text: str

    @property
    def name(self) -> str:
        """How a test calls it."""
        return f"{self.heading} #{self.number}" if self.number > 1 else self.heading


def blocks(language: str) -> list[Block]:
    """Return the guide's blocks in a language; none where there is no guide."""
    if not GUIDE.is_file():
        return []
    found = _read(GUIDE.read_text(encoding="utf-8"))
    return [one for one in found if one.language == language]


def _read(text: str) -> Iterator[Block]:
    heading, language, lines = "", None, list[str]()
    counts: dict[tuple[str, str], int] = {}
    for line in text.splitlines(keepends=True):
        fence = _FENCE.match(line)
        if language is None:
            if fence is not None:
                language, lines = fence[1], []
            elif (found := _HEADING.match(line)) is not None:
                heading = found[1]
        elif fence is not None:
            counts[heading, language] = number = counts.get((heading, language), 0) + 1
            yield Block(heading, number, language, "".join(lines))
            language = None
        else:
            lines.append(line)


def block(name: str, language: str = "python") -> Block:
    """Return a block by its name; skips the test where there is no guide."""
    found = blocks(language)
    if not found:
        pytest.skip(absent())
    return next(one for one in found if one.name == name)


def parameters(language: str, *, but: Collection[str] = ()) -> list[Any]:
    """Return the blocks as parameters of a test; one that skips it where there is no guide.

    Those under the headings `but` are left out.
    """
    if not GUIDE.is_file():
        return [pytest.param(None, id="absent", marks=pytest.mark.skip(reason=absent()))]
    found = [one for one in blocks(language) if one.heading not in but]
    return [pytest.param(one, id=one.name) for one in found]


def absent() -> str:
    """Return why there are no blocks."""
    return f"no integration guide at {GUIDE} (beside EP_RECORDED_TRAFFIC)"


async def run(found: Block, namespace: dict[str, Any]) -> list[Any]:
    """Run a block; return what it yields, if it does.

    It becomes the body of an asynchronous function, since blocks await and yield without one
    around them; the names that it binds are left in the namespace, as a module would.
    """
    tree = ast.parse(found.text, filename=f"<{found.name}>")
    bound = sorted(_bound(tree.body))
    body: list[ast.stmt] = [ast.Global(names=bound)] if bound else []
    body += tree.body
    wrapper = ast.parse("async def block(): pass").body[0]
    assert isinstance(wrapper, ast.AsyncFunctionDef)
    wrapper.body = body
    module = ast.fix_missing_locations(ast.Module(body=[wrapper], type_ignores=[]))
    exec(compile(module, f"<{found.name}>", "exec"), namespace)
    started = namespace.pop("block")()
    if inspect.isasyncgen(started):
        return [one async for one in started]
    await started
    return []


def _bound(statements: list[ast.stmt]) -> set[str]:
    """Return the names that statements bind, but for those inside of functions and classes."""
    names: set[str] = set()

    class Visitor(ast.NodeVisitor):
        def visit_Name(self, node: ast.Name) -> None:
            if isinstance(node.ctx, ast.Store):
                names.add(node.id)

        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            names.add(node.name)

        def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
            names.add(node.name)

        def visit_ClassDef(self, node: ast.ClassDef) -> None:
            names.add(node.name)

        def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
            names.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)

        visit_ImportFrom = visit_Import

        def visit_ListComp(self, node: ast.ListComp) -> None:
            pass

    for statement in statements:
        Visitor().visit(statement)
    return names
