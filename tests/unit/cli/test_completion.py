"""The completion scripts, in the shells that this machine has."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pondage.cli.completion import HOW, places
from pondage.cli.dispatch import available

from .conftest import Pondage

CASES = [
    (["requests", "cancel", "--a"], {"--all", "--app"}),
    (["ser"], {"serve"}),
    (["keys", "cr"], {"create"}),
    (["env", "--client", "s"], {"sdk", "swift"}),
    (["requests", "list", "--state", "r"], {"running"}),
]


def test_every_verb_action_and_flag_is_there() -> None:
    found = places()
    assert set(available()) == set(found[""].words)
    assert {"--all", "--app", "--server"} <= set(found["requests cancel"].words)
    assert found["keys"].words["create"] and found["completion"].words.keys() >= {"bash", "zsh", "fish"}


@pytest.mark.parametrize("shell", HOW)
def test_the_scripts_are_what_the_shell_reads(pondage: Pondage, tmp_path: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    script = tmp_path / "script"
    script.write_text(pondage("completion", shell).out)
    subprocess.run([shell, "-n", str(script)], check=True)


@pytest.mark.parametrize(("words", "offered"), CASES)
def test_bash_completes(pondage: Pondage, tmp_path: Path, words: list[str], offered: set[str]) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed here")
    ask = f'COMP_WORDS=(pondage {" ".join(words)}); COMP_CWORD={len(words)}; _pondage; echo "${{COMPREPLY[@]}}"'
    assert _answers(["bash", "-c"], pondage("completion", "bash").out + ask, tmp_path) == offered


@pytest.mark.parametrize(("words", "offered"), CASES)
def test_fish_completes(pondage: Pondage, tmp_path: Path, words: list[str], offered: set[str]) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed here")
    ask = f'complete -C "pondage {" ".join(words)}" | string split -f 1 \\t'
    assert _answers(["fish", "-c"], pondage("completion", "fish").out + ask, tmp_path) == offered


def _answers(shell: list[str], script: str, folder: Path) -> set[str]:
    ended = subprocess.run([*shell, script], capture_output=True, text=True, check=True, cwd=folder)
    assert not ended.stderr
    return set(ended.stdout.split())


def test_an_unknown_shell(pondage: Pondage) -> None:
    assert pondage("completion", "cmd").code == 2
