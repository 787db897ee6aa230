"""Every code that any part prints is one that `pondage explain` knows. They are collected from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pondage
from pondage.cli import exits
from pondage.cli.explanations import ALL, explained

from .conftest import Pondage as Run

SOURCE = Path(pondage.__file__).parent
NO_CODES = {"data", "rate_limited"}
"""Texts in these places that are not codes."""


def literals(node: ast.AST | None) -> Iterator[str]:
    """The texts that an expression may have, as `"a" if x else "b"`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from literals(value)


def of_class(node: ast.ClassDef) -> Iterator[str]:
    """`code = …`, `error_type = …`, and their assignment in one line with others."""
    for statement in node.body:
        targets: list[ast.expr] = []
        value: ast.expr | None = None
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign):
            targets, value = [statement.target], statement.value
        for target in targets:
            pairs = (
                zip(target.elts, value.elts, strict=True)
                if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
                else [(target, value)]
            )
            for name, one in pairs:
                if isinstance(name, ast.Name) and name.id in ("code", "error_type"):
                    yield from literals(one)


PLACES = {"failure": 2, "Failure": 0, "Reason": 0, "field": 2, "FieldException": 2, "_error": 1,
          "Refused": 1, "FileRefused": 1}  # fmt: skip
"""Functions one of whose arguments is a code, and which one that is."""


def of_call(node: ast.Call) -> Iterator[str]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    for keyword in node.keywords:
        if keyword.arg in ("error_type", "type_"):
            yield from literals(keyword.value)
    if name in PLACES and len(node.args) > PLACES[name]:
        yield from literals(node.args[PLACES[name]])


def of_dict(node: ast.Dict) -> Iterator[str]:
    """An entry of a 422: `{"loc": …, "msg": …, "type": …}`."""
    keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
    if "loc" in keys and "msg" in keys:
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "type":
                yield from literals(value)


def printed() -> Iterator[tuple[str, str]]:
    """Each code and the file that has it. Lines that print `error[code]` themselves count too."""
    for path in sorted(SOURCE.rglob("*.py")):
        where = str(path.relative_to(SOURCE))
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            found: Iterator[str] = iter(())
            if isinstance(node, ast.ClassDef):
                found = of_class(node)
            elif isinstance(node, ast.Call):
                found = of_call(node)
            elif isinstance(node, ast.Dict):
                found = of_dict(node)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("error["):
                found = iter([node.value[len("error[") :].partition("]")[0]])
            yield from ((code, where) for code in found)


CODES = sorted({(code, where) for code, where in printed() if code and code not in NO_CODES})


def test_the_collection_finds_each_kind() -> None:
    codes = {code for code, _ in CODES}
    assert {"setup", "client.timeout", "auth.unauthorized", "request_timeout", "input.unknown_verb"} <= codes
    assert {"runner_disconnected", "server.certificate", "image_load_error", "runner_server_error"} <= codes
    assert len(codes) > 60


@pytest.mark.parametrize(("code", "where"), CODES)
def test_explain_knows_every_code(code: str, where: str) -> None:
    assert explained(code) is not None, f"{code} of {where} is not in explanations.py"


@pytest.mark.parametrize("code", ["http.502", "http.418", "string_too_short", "int_parsing"])
def test_explain_knows_others_codes(pondage: Run, code: str) -> None:
    said = pondage("explain", f"error[{code}]")
    assert said.code == exits.OK and said.out.startswith(code + "\n")


@pytest.mark.parametrize("code", ["http.9999", "http.x", "no_such_code"])
def test_explain_invents_nothing(pondage: Run, code: str) -> None:
    assert pondage("explain", code).code == exits.BAD_INPUT


def test_all_codes_are_listed(pondage: Run) -> None:
    items = pondage("explain", "--json").json["items"]
    assert [item["code"] for item in items] == list(ALL)
    assert all(item["what"] and item["then"] for item in items)
