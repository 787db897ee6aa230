"""The paired measure: its statistics, how the two are installed, and what its exit code says."""

from __future__ import annotations

import random
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from benchmarks import against, paired, revisions, run
from benchmarks.paired import Comparison, median_interval, table
from benchmarks.revisions import NoRevision, disagreeing, install


def comparison(ratios: list[float], *, judged: bool = True) -> Comparison:
    return Comparison("run", "CPU of a run", "µs", [100.0] * len(ratios), [100 * r for r in ratios], judged)


# ---- statistics


def test_of_twelve_the_interval_leaves_out_two_to_each_side() -> None:
    samples = [float(n) for n in range(1, 13)]
    random.Random(1).shuffle(samples)
    assert median_interval(samples) == (3.0, 10.0)


@pytest.mark.parametrize(
    ("count", "low"), [(1, 1), (2, 1), (5, 1), (6, 1), (8, 1), (9, 2), (11, 2), (12, 3), (20, 6), (25, 8), (100, 40)]
)
def test_its_ranks_are_those_of_the_sign_test(count: int, low: int) -> None:
    """The ranks that tables of the binomial distribution give for 95 %."""
    assert median_interval([float(n) for n in range(1, count + 1)]) == (low, count + 1 - low)


def test_nothing_has_no_median() -> None:
    with pytest.raises(ValueError, match="no sample"):
        median_interval([])


@pytest.mark.parametrize("spread", ["normal", "skewed"])
def test_it_encloses_the_true_median_as_often_as_it_says(spread: str) -> None:
    draw = random.Random(7)
    one = (lambda: draw.gauss(1.0, 0.1)) if spread == "normal" else (lambda: draw.lognormvariate(0.0, 0.5))
    hits = 0
    for _ in range(2000):
        low, high = median_interval([one() for _ in range(12)])
        hits += low <= 1.0 <= high
    assert 0.945 <= hits / 2000 <= 0.98  # exactly: 0.961


@pytest.mark.parametrize(
    ("ratios", "bound", "held"),
    [
        ([1.02] * 12, 1.03, True),
        ([1.031] * 12, 1.03, False),
        ([1.05] * 12, 1.06, True),
        ([0.9] * 12, 1.03, True),
        ([0.99] * 3 + [1.2] * 9, 1.03, True),  # 1.00 is within 0.99 to 1.2
        ([0.99] * 2 + [1.2] * 10, 1.03, False),
    ],
)
def test_when_it_holds(ratios: list[float], bound: float, held: bool) -> None:
    assert comparison(ratios).held(bound) is held


def test_wide_is_more_than_5_percent_to_both_sides() -> None:
    assert not comparison([0.951] * 3 + [1.0] * 6 + [1.049] * 3).wide
    assert comparison([0.949] * 3 + [1.0] * 6 + [1.052] * 3).wide


def test_ratios_are_taken_pair_by_pair() -> None:
    """Both sides of a pair met the same: one that was twice as slow in both says nothing."""
    one = Comparison("run", "CPU", "µs", [100, 200, 50], [101, 202, 50.5], True)
    assert one.median == pytest.approx(1.01) and not one.wide


def test_the_table_says_what_holds() -> None:
    text = table([comparison([1.0] * 12), comparison([1.2] * 12), comparison([1.2] * 12, judged=False)], 1.03)
    assert [line.rpartition(" | ")[2] for line in text.splitlines()[2:]] == ["holds |", "**slower** |", "told only |"]
    assert "| run | CPU of a run | 100 µs | 120 µs | 1.200 | 1.200 to 1.200 |" in text


# ---- two revisions


def test_the_checkout_and_a_commit_each_import_their_own(tmp_path: Path) -> None:
    commands = [install(None, tmp_path / "new"), install("HEAD", tmp_path / "old")]
    assert revisions.described("HEAD").partition(" ")[2]
    found = []
    for command in commands:
        python = command.with_name("python")
        asked = "import pondage, pondage.runner, sys; print(pondage.__file__, pondage.runner.__file__)"
        found.append(subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True).stdout.split())
        assert "serve" in subprocess.run([command, "--help"], check=True, capture_output=True, text=True).stdout
    assert all(Path(file).is_relative_to(revisions.ROOT / "src") for file in found[0])
    assert all(Path(file).is_relative_to(tmp_path / "old" / "source") for file in found[1])


def test_a_commit_that_is_none_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NoRevision, match="nothing-so-called"):
        install("nothing-so-called", tmp_path)
    assert run.main(["--against", "nothing-so-called", "--scratch", str(tmp_path)]) == 2
    assert "nothing-so-called" in capsys.readouterr().err


def test_what_another_revision_pins_otherwise_is_found(tmp_path: Path) -> None:
    assert disagreeing(revisions.ROOT) == []
    project = (revisions.ROOT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(project.replace('"apsw', '"no-such-library>=1", "apsw'))
    pins = (revisions.ROOT / "constraints.txt").read_text()
    (tmp_path / "constraints.txt").write_text(pins.replace("\nmsgspec==", "\nmsgspec==0.0.1 # ") + "\nelsewhere==1\n")
    assert disagreeing(tmp_path) == ["msgspec 0.0.1", "no-such-library"]


# ---- the command


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Scenarios that cost what `costs` says, and a note of the order in which the two were measured."""
    order: list[str] = []

    @asynccontextmanager
    async def serving(subject: against.Subject, seconds: float) -> AsyncIterator[against.Take]:
        noise = random.Random(subject.name)

        async def take() -> against.Found:
            order.append(subject.name)
            cost = 110.0 if subject.name == "new" and seconds == 2 else 100.0
            spread = noise.uniform(-30, 30) if seconds == 3 else 0
            return [against.Quantity("CPU", "µs", cost + spread), against.Quantity("rate", "1/s", cost / 2, False)]

        yield take

    monkeypatch.setattr(against, "SCENARIOS", {"run": serving, "idle": serving})
    monkeypatch.setattr(against, "install", lambda revision, folder: folder)
    return order


@pytest.mark.parametrize(("seconds", "bound", "code"), [("1", "1.03", 0), ("2", "1.03", 1), ("2", "1.11", 0)])
def test_the_exit_code_says_whether_it_holds(
    faked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], seconds: str, bound: str, code: int
) -> None:
    asked = [
        "--against",
        "HEAD",
        "--only",
        "run,idle",
        "--seconds",
        seconds,
        "--bound",
        bound,
        "--scratch",
        str(tmp_path),
    ]
    assert run.main(asked) == code
    assert faked == ["old", "new", "new", "old"] * 12, "two scenarios of twelve pairs, the order alternating"
    printed = capsys.readouterr()
    assert printed.out.count("| CPU |") == 2 and ("slower: run, CPU: 1.100" in printed.err) == (code == 1)


def test_a_wide_interval_is_measured_again(faked: list[str], tmp_path: Path) -> None:
    run.main(["--against", "HEAD", "run", "--seconds", "3", "--pairs", "6", "--scratch", str(tmp_path)])
    assert len(faked) == 2 * 6 * (1 + against.AGAIN)


def test_only_takes_a_list_and_knows_its_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parsed = run._parser().parse_args(["--only", "run,submit", "--only", "idle"])
    assert parsed.only == ["run", "submit", "idle"]
    assert run.main(["--against", "HEAD", "--only", "webhooks,run"]) == 2
    assert "not webhooks" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="no scenario wrong"):
        run.main(["--only", "wrong,run", "--out", str(tmp_path)])
    with pytest.raises(SystemExit):
        run.main(["--help"])
    assert "--against" in capsys.readouterr().out


def test_everything_that_the_promise_names_is_measured() -> None:
    assert list(against.SCENARIOS) == ["run", "submit", "start", "idle", "stream", "realtime", "files"]
    assert (paired.PAIRS, paired.BOUND) == (12, 1.03)
