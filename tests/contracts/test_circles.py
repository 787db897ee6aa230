"""No module of ours imports itself by way of others: not between rooms, and not within one."""

from __future__ import annotations

import ast
from pathlib import Path

import pondage

ROOT = Path(pondage.__file__).parent
Graph = dict[str, set[str]]


def modules() -> dict[str, Path]:
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports() -> Graph:
    """Who imports whom as it is loaded; what a type checker alone reads, or a function when it runs, is left out."""
    known = modules()
    graph: Graph = {}
    for name, path in known.items():
        graph[name] = set()
        for node in _at_load(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                whole = {f"{node.module}.{one.name}" for one in node.names} & known.keys()
                graph[name] |= whole or ({node.module} & known.keys())
            elif isinstance(node, ast.Import):
                graph[name] |= {one.name for one in node.names} & known.keys()
        graph[name].discard(name)
    return graph


def _at_load(tree: ast.AST) -> list[ast.stmt]:
    found: list[ast.stmt] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.append(node)
        found += _at_load(node)
    return found


def circles(graph: Graph) -> list[list[str]]:
    """The groups of modules that reach each other (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            at = stack.index(name)
            if len(stack) - at > 1:
                groups.append(sorted(stack[at:]))
            del stack[at:]

    for name in graph:
        if name not in index:
            visit(name)
    return groups


def test_a_circle_is_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]


def test_there_is_none() -> None:
    graph = imports()
    assert len(graph) > 300 and graph["pondage.fleet.dispatcher"], "the walk sees what it looks for"
    assert circles(graph) == []
