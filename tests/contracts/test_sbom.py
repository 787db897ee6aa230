"""The bill of materials that `make dist` puts beside the wheel."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]


def made(out: Path) -> Any:
    subprocess.run([sys.executable, str(ROOT / "scripts" / "sbom.py"), sys.executable, str(out)], check=True)
    return json.loads(out.read_bytes())


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return made(tmp_path_factory.mktemp("bill") / "pondage.cdx.json")


def requirements() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["server"]]
    wanted += [*project["optional-dependencies"]["cli"], *project["optional-dependencies"]["webhooks"]]
    return {re.split(r"[\[<>=;~! ]", one)[0].lower() for one in wanted} - {"pondage"}


def test_it_names_us_and_everything_that_a_server_needs(bill: Any) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    about = bill["metadata"]["component"]
    assert (bill["bomFormat"], about["name"], about["version"]) == ("CycloneDX", "pondage", project["version"])
    there = {one["name"].lower().replace("_", "-"): one for one in bill["components"]}
    assert requirements() <= there.keys()
    pinned = dict(
        line.strip().split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    for name in requirements():
        assert there[name]["version"] == pinned[name], f"{name}: the tested version"
        assert there[name]["purl"].startswith("pkg:pypi/")
        assert there[name].get("licenses"), f"{name} names its licence"


def test_it_says_nothing_of_the_machine_and_lists_no_installer(bill: Any) -> None:
    text = json.dumps(bill)
    assert "file:" not in text and str(ROOT) not in text
    names = {one["name"] for one in bill["components"]}
    assert not names & {"pip", "setuptools", "wheel"}
    known = {one["bom-ref"] for one in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    for one in bill["dependencies"]:
        assert {one["ref"], *one.get("dependsOn", ())} <= known


@pytest.mark.slow
def test_it_is_the_same_every_time(bill: Any, tmp_path: Path) -> None:
    assert made(tmp_path / "again.json") == bill
