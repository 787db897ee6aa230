"""What is made of the samples: medians, goals, the comparison with an older run, the page and the picture."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import msgspec
import pytest
from benchmarks import picture, report
from benchmarks.figures import OURS, Curve, Goal, Result, Section, ratios
from benchmarks.regression import compare, uncompared


def result(rate: float = 5000.0, latency: float = 1.0, *, http: float = 20_000.0, http_p50: float = 0.1) -> Result:
    section = Section("run", "Submit to result")
    section.add("run, 64 callers", OURS, "requests/s", "more", [rate * 0.9, rate, rate * 1.3], limit="http")
    section.add("run, 64 callers", "FastAPI", "requests/s", "more", [4000, 4100], limit="http")
    section.add("run, one caller, p50", OURS, "ms", "less", [latency], limit="http_p50")
    section.add("never compared", OURS, "ms", "less", [latency * rate])
    section.goal("by FastAPI's", "times", ratios(section.samples("run, 64 callers", OURS), [4000, 4100]), least=1)
    section.limits = {"http": [http, http], "http_p50": [http_p50]}
    section.curves.append(Curve("acks", "waiting", "acks/s", "more", [(100, 9000.0), (100_000, 8500.0)]))
    section.skipped["arq"] = "could not be installed"
    return Result("2026-01-01 00:00 UTC", False, 60.0, {"cores": 2, "versions": {"uvicorn": "1"}}, [section])


def factors(new: Result, old: Result) -> dict[str, float]:
    return {change.name: change.factor for change in compare(new, old)}


def test_a_slower_machine_is_no_regression() -> None:
    slower = result(2500, 2.0, http=10_000, http_p50=0.2)
    assert factors(slower, result()) == pytest.approx({"run, 64 callers": 1.0, "run, one caller, p50": 1.0})
    assert not any(change.worse for change in compare(slower, result()))


def test_slower_code_is_a_regression_whichever_way_its_figure_points() -> None:
    changes = compare(result(2500, 2.0), result())
    assert [(change.name, change.factor, change.worse) for change in changes] == [
        ("run, 64 callers", pytest.approx(2.0), True),
        ("run, one caller, p50", pytest.approx(2.0), True),
    ]


def test_faster_code_on_the_same_machine_is_below_one() -> None:
    assert factors(result(10_000, 0.5), result()) == pytest.approx(
        {"run, 64 callers": 0.5, "run, one caller, p50": 0.5}
    )


def test_what_only_one_run_measured_is_not_compared() -> None:
    old = result()
    old.sections[0].name = "another"
    assert compare(result(), old) == []
    new = ["run: run, 64 callers", "run: run, one caller, p50"]
    assert uncompared(result(), old) == new
    assert uncompared(result(), result()) == []
    assert "not compared: " + "; ".join(new) in report.markdown(result(), [], new)


def test_a_figure_whose_limit_is_another_now_is_not_compared() -> None:
    old = result()
    old.sections[0].figures[0] = msgspec.structs.replace(old.sections[0].figures[0], limit="http_p50")
    assert list(factors(result(), old)) == ["run, one caller, p50"]
    assert uncompared(result(), old) == ["run: run, 64 callers"]


def test_goals_hold_for_medians() -> None:
    assert Goal("at least", "times", [0.5, 1.0, 3.0], least=1).met
    assert not Goal("at least", "times", [0.5, 0.9, 3.0], least=1).met
    assert Goal("at most", "ms", [2.0, 2.0, 9.0], most=2).met
    assert not Goal("at most", "ms", [2.1], most=2).met


def test_ratios_are_taken_round_by_round() -> None:
    assert ratios([1.0, 10.0], [2.0, 5.0]) == [0.5, 2.0]


def test_a_result_survives_its_file() -> None:
    one = result()
    assert msgspec.json.decode(msgspec.json.encode(one), type=Result) == one


def test_the_page_shows_goals_figures_curves_and_what_was_left_out() -> None:
    page = report.markdown(result(), compare(result(2500), result()))
    assert "| run | by FastAPI's | at least 1 times | 1.17 (1.12 to 1.22) | yes |" in page
    assert "| run, 64 callers, requests/s | 5,000 (4,500 to 6,500) | 4,050 (4,000 to 4,100) |" in page
    assert "| acks, acks/s | 9,000 | 8,500 |" in page
    assert "- arq is left out: could not be installed" in page
    assert "| run | run, 64 callers | 2.00 | **slower** |" in page


def test_the_picture_is_svg_with_a_bar_for_each_subject() -> None:
    drawn = ElementTree.fromstring(picture.svg(result()))
    space = "{http://www.w3.org/2000/svg}"
    assert len(drawn.findall(f".//{space}rect")) == 3
    assert len(drawn.findall(f".//{space}circle")) == 2
    texts = [text.text for text in drawn.iter(f"{space}text")]
    assert "FastAPI" in texts and "100,000" in texts
    assert texts.index(OURS) < texts.index("FastAPI"), "the best comes first"
