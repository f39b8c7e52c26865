"""The shape of the source tree: sizes, names, layers, and what must not be in it."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("translators", "policy", "proxy")
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
LAYERS = {
    "execution_platform_pytest": 4,
    "execution_platform": 3,
    "proxy": 2,
    "policy": 1,
    "translators": 0,
}


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("this is no git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_a_file_has_at_most_400_lines_and_its_functions_at_most_50(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    long = [
        f"{function.name}: {(function.end_lineno or 0) - function.lineno + 1}"
        for function in functions(ast.parse(text))
        if (function.end_lineno or 0) - function.lineno + 1 > 50
    ]
    assert long == []


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_a_module_says_what_it_is_and_what_it_offers(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "no docstring"
    assert path.stem not in {"utils", "helpers", "common", "misc", "manager", "handler"}
    public = [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
    ]
    offers = any(
        isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for node in tree.body
    )
    assert offers or not public, f"`__all__` is missing: {public}"


def imports_of(path: Path) -> set[str]:
    """Return the modules of ours that a module imports when it runs."""
    tree = ast.parse(path.read_text())
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            skipped.update(inner for child in node.body for inner in ast.walk(child))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node not in skipped:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def name_of(path: Path) -> str:
    within = ROOT / "proxy" / "inprocess"
    parts = path.relative_to(within if within in path.parents else ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_imports_go_down_only_and_never_in_a_circle() -> None:
    names = {name_of(path): path for path in MODULES}
    graph = {name: imports_of(path) & names.keys() - {name} for name, path in names.items()}
    for name, imported in graph.items():
        for other in imported:
            assert LAYERS[other.partition(".")[0]] <= LAYERS[name.partition(".")[0]], (name, other)
    done: set[str] = set()
    path: list[str] = []

    def visit(name: str) -> None:
        assert name not in path, " -> ".join([*path, name])
        if name not in done:
            path.append(name)
            for other in sorted(graph[name]):
                visit(other)
            path.pop()
            done.add(name)

    for name in graph:
        visit(name)


def test_the_top_level_is_what_the_design_says() -> None:
    folders = {path.relative_to(ROOT).parts[0] for path in tracked() if path.parent != ROOT}
    assert {f for f in folders if not f.startswith(".")} == {
        *("proxy", "translators", "policy", "tests", "deploy"),
    }


def test_no_file_names_a_machine_or_an_index() -> None:
    # Put together here, so that this file does not hold what it looks for.
    homes = "|".join(("work", "root", "home", "farm"))
    machine = re.compile(rf"(?<![\w.>/-])/(?:{homes})/\w")
    for path in tracked():
        if path.suffix in (".sse", ".json", ".png"):
            continue
        text = path.read_text(errors="replace")
        assert not machine.search(text), f"{path}: {machine.search(text)}"
        if path.name.startswith("requirements") or path.name in ("pyproject.toml", "Makefile"):
            assert "index-url" not in text.replace("--no-emit-index-url", ""), path
            assert not re.search(r"https?://", text), path
        assert path.name not in ("uv.lock", "poetry.lock", "package-lock.json")
