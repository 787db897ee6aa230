"""The playground: every control of the gallery, files by every way, runs that survive a reload, what may go wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Page, expect

from pondage.dashboard.assets import built
from pondage.testing import ServedApp, serve

from .conftest import ROOT, Tab
from .test_serving import packed

GALLERY = str(ROOT / "examples" / "gallery.py")


@pytest.fixture(scope="module")
def gallery() -> Iterator[ServedApp]:
    with serve(GALLERY) as served:
        yield served


def run(page: Page) -> str:
    """Press Run and wait for the end; the request's id."""
    page.get_by_role("button", name=re.compile("^Run")).click()
    expect(page.locator(".result .state")).to_have_text(re.compile("ok|error|cancelled"))
    found = re.search(r"request=([0-9a-f-]+)", page.url)
    assert found is not None
    return found[1]


def as_json(page: Page) -> str:
    page.get_by_role("tab", name="JSON").click()
    text = page.get_by_label("Input as JSON").input_value()
    page.get_by_role("tab", name="Form", exact=True).click()
    return text


def sent(served: ServedApp, request_id: str) -> str:
    return httpx2.get(f"{served.url}/api/v1/requests/{request_id}/input").text


def output(served: ServedApp, request_id: str) -> Any:
    return httpx2.get(f"{served.url}/api/v1/requests/{request_id}/output").json()


def playground(tab: Tab, served: ServedApp, endpoint: str) -> Page:
    page = tab.goto(f"{served.url}/ui/apps/{endpoint}", endpoint)
    expect(page.get_by_role("form", name="Input")).to_be_visible()
    return page


def test_the_page_is_small() -> None:
    assert packed("shell.js", "playground.js", "app.css") <= 60_000
    assert len([name for name in built().assets if name.endswith(".js")]) >= 3


def test_the_playground_asks_little(gallery: ServedApp, tab: Tab) -> None:
    playground(tab, gallery, "gallery/media")
    asked = {
        request.url.removeprefix(gallery.url).split("?")[0] for request in tab.requests if "data:" not in request.url
    }
    assert len(asked) <= 7, asked  # the page, two scripts, the style, the apps, the schema, the history


def test_every_control_goes_to_json_and_back_without_a_change(gallery: ServedApp, tab: Tab) -> None:
    page = playground(tab, gallery, "gallery/controls")
    page.get_by_label("Prompt").fill("a fox")
    page.get_by_role("group", name="Undecided").get_by_label("Yes").click()
    page.get_by_role("button", name="Add Numbers").click()
    page.get_by_role("button", name="Set a value for Seed").click()
    page.get_by_role("textbox", name="Seed", exact=True).fill("18446744073709551615")
    page.get_by_role("textbox", name="Huge", exact=True).fill("98765432109876543210")
    page.get_by_role("button", name="Add Lists").click()
    page.get_by_role("button", name="Add tag").click()
    page.get_by_role("textbox", name="tag 2").fill("two")
    before = as_json(page)
    page.get_by_role("tab", name="JSON").click()
    page.get_by_role("tab", name="Form", exact=True).click()
    assert as_json(page) == before
    assert '"seed": 18446744073709551615' in before and '"huge": 98765432109876543210' in before
    request_id = run(page)
    assert sent(gallery, request_id) == before
    assert output(gallery, request_id)["numbers"]["seed"] == 18446744073709551615
    assert output(gallery, request_id)["texts"]["prompt"] == "a fox"


def test_json_that_the_form_does_not_know_is_kept(gallery: ServedApp, tab: Tab) -> None:
    page = playground(tab, gallery, "gallery/controls/choices")
    text = '{"undecided": true, "of_tomorrow": {"a": [1.0, 2e5]}, "few": "ink"}'
    page.get_by_role("tab", name="JSON").click()
    page.get_by_label("Input as JSON").fill(text)
    page.get_by_role("tab", name="Form", exact=True).click()
    expect(page.get_by_label("ink")).to_be_checked()
    expect(page.get_by_text("of_tomorrow")).to_be_visible()
    assert sent(gallery, run(page)) == text


def test_broken_json_is_shown_with_its_place_and_not_sent(gallery: ServedApp, tab: Tab) -> None:
    page = playground(tab, gallery, "gallery/controls/choices")
    page.get_by_role("tab", name="JSON").click()
    page.get_by_label("Input as JSON").fill('{"few": "ink",\n "on": tru}')
    expect(page.locator("#json-says")).to_contain_text("line 2, column 8")
    expect(page.get_by_role("button", name=re.compile("^Run"))).to_be_disabled()


def test_three_states_of_an_optional(gallery: ServedApp, tab: Tab) -> None:
    page = playground(tab, gallery, "gallery/controls/unions")
    maybe = page.locator(".field", has=page.locator("#f-maybe")).last
    assert "maybe" not in json.loads(as_json(page))
    page.locator("#f-maybe").fill("said")
    assert json.loads(as_json(page))["maybe"] == "said"
    maybe.get_by_role("button", name="null for Maybe", exact=True).click()
    assert json.loads(as_json(page))["maybe"] is None
    page.get_by_role("button", name="Reset Maybe", exact=True).click()
    assert "maybe" not in json.loads(as_json(page))


def test_a_union_keeps_what_was_typed_into_each_branch(gallery: ServedApp, tab: Tab) -> None:
    page = playground(tab, gallery, "gallery/controls/unions")
    page.get_by_role("radio", name="Box").check()
    page.get_by_label("Width").first.fill("7")
    page.get_by_role("radio", name="Circle").check()
    assert json.loads(as_json(page))["shape"] == {"kind": "circle"}
    page.get_by_role("radio", name="Box").check()
    assert json.loads(as_json(page))["shape"] == {"kind": "box", "width": 7}
    assert output(gallery, run(page))["shape"] == {"kind": "box", "width": 7, "height": 3}


def test_lists_move_and_dicts_are_named(gallery: ServedApp, tab: Tab) -> None:
    page = playground(tab, gallery, "gallery/controls/lists")
    page.get_by_role("button", name="Change it").click()
    page.get_by_role("button", name="Add tag").click()
    page.get_by_role("textbox", name="tag 2").fill("two")
    page.get_by_role("button", name="Move tag 2 up").click()
    page.get_by_role("button", name="Add People").or_(page.get_by_role("button", name="Add people")).first.click()
    page.get_by_label("Name").first.fill("Ada")
    value = json.loads(as_json(page))
    assert (value["tags"], value["people"]) == (["two", "one"], [{"name": "Ada"}])


def test_five_wrong_fields_are_named_and_the_first_has_the_focus(gallery: ServedApp, tab: Tab) -> None:
    page = playground(tab, gallery, "gallery/controls/numbers")
    page.get_by_role("textbox", name="Whole", exact=True).fill("many")
    page.get_by_role("textbox", name="Steps", exact=True).fill("99")
    page.get_by_role("textbox", name="Strength", exact=True).fill("7")
    page.get_by_role("textbox", name="Open Ended", exact=True).fill("0")
    page.get_by_role("textbox", name="Seed", exact=True).fill("-1")
    run(page)
    expect(page.locator(".summary li")).to_have_count(5)
    expect(page.get_by_role("textbox", name="Whole", exact=True)).to_be_focused()
    expect(page.get_by_role("textbox", name="Whole", exact=True)).to_have_value("many")
    expect(page.locator("#f-steps-error")).to_contain_text("less than or equal to 50")
    assert tab.violations() == []
    page.get_by_role("textbox", name="Steps", exact=True).fill("9")
    expect(page.locator("#f-steps-error")).to_have_count(0)


def test_a_run_shows_logs_progress_and_pictures(gallery: ServedApp, tab: Tab) -> None:
    page = playground(tab, gallery, "gallery/media")
    page.get_by_role("button", name=re.compile("^Run")).click()
    expect(page.get_by_role("progressbar", name="Progress")).to_be_visible()
    expect(page.locator(".result img.picture")).to_have_count(2)
    page.get_by_role("tab", name="Logs (6)").click()
    expect(page.get_by_role("log")).to_contain_text("step 6 of 6")
    page.get_by_role("tab", name="Output").click()
    page.get_by_role("button", name=re.compile("^Zoom")).first.click()
    expect(page.get_by_role("dialog")).to_contain_text(re.compile("192 . 144"))
    assert tab.violations() == []
    page.keyboard.press("Escape")


def test_a_preview_is_shown_while_it_runs_and_kept_nowhere(gallery: ServedApp, tab: Tab) -> None:
    page = playground(tab, gallery, "gallery/media")
    page.get_by_role("textbox", name="Steps", exact=True).fill("30")
    page.get_by_role("textbox", name="Pause", exact=True).fill("0.1")
    page.get_by_role("button", name=re.compile("^Run")).click()
    preview = page.get_by_role("button", name="Zoom preview")
    expect(preview).to_be_visible()
    page.reload()
    expect(preview).to_be_visible()
    expect(page.locator(".result .state")).to_have_text("ok")
    expect(preview).to_have_count(0)
    request_id = page.url.partition("request=")[2]
    assert "base64" not in httpx2.get(f"{gallery.url}/api/v1/requests/{request_id}/events").text


def test_a_status_stream_has_the_preview(gallery: ServedApp) -> None:
    given = {"steps": 20, "pause": 0.05, "count": 1}
    status_url = httpx2.post(f"{gallery.url}/queue/gallery/media", json=given).json()["status_url"]
    seen = []
    with httpx2.stream("GET", f"{status_url}/stream", timeout=30) as answer:
        for line in answer.iter_lines():
            if line.startswith("data:"):
                seen.append(json.loads(line[5:]))
    pictures = [one["progress"]["preview"] for one in seen if "preview" in one.get("progress", {})]
    assert pictures and pictures[0].startswith("data:image/png;base64,")
    assert "preview" not in seen[-1].get("progress", {})


def test_a_reload_in_the_middle_loses_nothing(gallery: ServedApp, tab: Tab) -> None:
    page = playground(tab, gallery, "gallery/states/words")
    page.get_by_role("textbox", name="Count", exact=True).fill("60")
    page.get_by_role("button", name=re.compile("^Run")).click()
    expect(page.locator(".text-output")).to_contain_text("word5 ")
    page.reload()
    expect(page.locator(".text-output")).to_contain_text("word59 ")
    expect(page.get_by_role("textbox", name="Count", exact=True)).to_have_value("60")
    assert page.locator(".text-output").text_content() == "".join(f"word{n} " for n in range(60))
    expect(page.locator(".result .state")).to_have_text("ok")


def test_a_run_can_be_cancelled(gallery: ServedApp, tab: Tab) -> None:
    page = playground(tab, gallery, "gallery/states")
    page.get_by_role("textbox", name="Seconds", exact=True).fill("60")
    page.get_by_role("button", name=re.compile("^Run")).click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".result .state")).to_have_text("cancelled")


@pytest.mark.parametrize(
    ("path", "says"),
    [("fail", "no such checkpoint"), ("refuse", "a teapot"), ("field", "is too small for this model")],
)
def test_failures_say_why(gallery: ServedApp, tab: Tab, path: str, says: str) -> None:
    page = playground(tab, gallery, f"gallery/states/{path}")
    run(page)
    expect(page.locator(".result .failed")).to_contain_text(says)
    assert tab.violations() == []


def test_a_hundred_thousand_log_lines_stay_few_on_screen(gallery: ServedApp, tab: Tab) -> None:
    page = playground(tab, gallery, "gallery/states/logs")
    page.get_by_role("textbox", name="Lines", exact=True).fill("20000")
    run(page)
    page.get_by_role("tab", name="Logs (20000)").click()
    expect(page.get_by_role("log")).to_contain_text("line 19999")
    assert page.locator(".log").count() == 500


def test_a_large_output_is_shown_by_its_beginning(gallery: ServedApp, tab: Tab) -> None:
    page = playground(tab, gallery, "gallery/media/large")
    page.get_by_role("textbox", name="Megabytes", exact=True).fill("30")
    run(page)
    expect(page.locator(".result")).to_contain_text("The output has 30 MB")
    assert len(page.locator(".result .text-output").text_content() or "") == 65_536


def test_what_was_typed_is_there_again_and_secrets_are_not(gallery: ServedApp, tab: Tab) -> None:
    page = playground(tab, gallery, "gallery/controls/texts")
    page.get_by_label("Prompt").fill("kept")
    page.get_by_label("Secret").fill("hush")
    while "kept" not in (page.evaluate("localStorage.getItem('pondage.draft.gallery/controls/texts')") or ""):
        page.wait_for_timeout(50)
    assert "hush" not in page.evaluate("JSON.stringify({...localStorage})")
    page.reload()
    expect(page.get_by_label("Prompt")).to_have_value("kept")
    page.get_by_role("button", name="Begin anew").click()
    expect(page.get_by_label("Prompt")).to_have_value("")


def test_a_row_over_one_member_ends_side_by_side(gallery: ServedApp, tab: Tab) -> None:
    page = playground(tab, gallery, "gallery/media")
    page.get_by_role("textbox", name="Steps", exact=True).fill("1")
    page.get_by_role("button", name="Vary…").click()
    expect(page.get_by_role("combobox", name="Member")).to_have_value("seed")
    assert tab.violations() == []
    page.get_by_label("Values").fill("7, 12345678901234567890")
    page.get_by_role("button", name="Run 2").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare 2")
    expect(page.get_by_role("region", name="Inputs that differ")).to_contain_text("12345678901234567890")
    expect(page.locator("main img.picture")).to_have_count(4)


# ---- files


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    import sys

    sys.path.insert(0, str(ROOT / "examples"))
    try:
        from gallery import png
    finally:
        sys.path.pop(0)
    path = tmp_path / "rings ñ.png"
    path.write_bytes(png(40, 30))
    return path


def test_a_file_is_chosen_and_arrives(gallery: ServedApp, tab: Tab, picture: Path) -> None:
    page = playground(tab, gallery, "gallery/controls/files")
    page.get_by_label("Choose Picture", exact=True).set_input_files(picture)
    expect(page.get_by_text("rings ñ.png")).to_be_visible()
    page.get_by_label("Choose Pictures").set_input_files([picture, picture])
    expect(page.locator(".file-grid li")).to_have_count(2)
    size = picture.stat().st_size
    assert output(gallery, run(page)) == {"picture": size, "pictures": [size, size]}


@pytest.mark.parametrize("event", ["drop", "paste", "elsewhere"])
def test_a_file_is_dropped_or_pasted(gallery: ServedApp, tab: Tab, picture: Path, event: str) -> None:
    page = playground(tab, gallery, "gallery/controls/files")
    data = list(picture.read_bytes())
    page.evaluate(
        """([data, how]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(data)], "thrown.png", {type: "image/png"}));
            const at = how === "elsewhere" ? document.querySelector("h1") : document.querySelector(".sources");
            const made = how === "paste"
              ? new ClipboardEvent("paste", {clipboardData: transfer, bubbles: true, cancelable: true})
              : new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true});
            at.dispatchEvent(made);
        }""",
        [data, event],
    )
    expect(page.get_by_text("thrown.png")).to_be_visible()
    assert output(gallery, run(page))["picture"] == len(data)


def test_a_file_by_its_address_and_of_the_wrong_kind(
    gallery: ServedApp, tab: Tab, picture: Path, tmp_path: Path
) -> None:
    page = playground(tab, gallery, "gallery/controls/files")
    wrong = tmp_path / "notes.txt"
    wrong.write_text("no picture")
    page.get_by_label("Choose Picture", exact=True).set_input_files(wrong)
    expect(page.get_by_text("notes.txt is text/plain, not an image")).to_be_visible()
    stored = httpx2.post(
        f"{gallery.url}/files/upload", content=picture.read_bytes(), headers={"content-type": "image/png"}
    )
    page.get_by_role("button", name="URL of Picture", exact=True).click()
    page.get_by_role("textbox", name="Address of Picture").fill(stored.json()["access_url"])
    page.keyboard.press("Enter")
    assert output(gallery, run(page))["picture"] == picture.stat().st_size


def test_the_camera_and_the_microphone(gallery: ServedApp, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(permissions=["camera", "microphone"])
    page = playground(tab, gallery, "gallery/controls/files")
    page.get_by_role("button", name="Camera for Picture", exact=True).click()
    page.get_by_role("button", name="Take the picture").click()
    expect(page.locator(".chosen-file")).to_contain_text("camera-")
    page.get_by_role("button", name="Mic for Sound").click()
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_role("meter", name="Level")).not_to_have_attribute("value", "0")
    assert tab.violations() == []
    page.get_by_role("button", name="Stop and use").click()
    expect(page.locator(".chosen-file")).to_have_count(2)
    sizes = output(gallery, run(page))
    assert sizes["picture"] > 1000 and sizes["sound"] > 100


def test_an_output_is_used_as_an_input(gallery: ServedApp, tab: Tab) -> None:
    page = playground(tab, gallery, "gallery/media")
    run(page)
    expect(page.locator(".result img.picture")).to_have_count(2)
    page.get_by_role("link", name="Playground").click()
    page.get_by_role("link", name="gallery/controls/files").click()
    page.get_by_role("button", name="Earlier output for Picture", exact=True).click()
    page.locator(".earlier button").first.click()
    assert output(gallery, run(page))["picture"] > 100


# ---- history, code, session


def test_history_brings_an_input_back_and_compares(gallery: ServedApp, tab: Tab) -> None:
    page = playground(tab, gallery, "gallery/controls/choices")
    page.get_by_role("group", name="Undecided").get_by_label("No").check()
    first = run(page)
    page.get_by_label("ink").check()
    page.get_by_role("button", name=f"Diff of …{first[-8:]} and the form").click()
    expect(page.get_by_role("dialog")).to_contain_text("few")
    assert tab.violations() == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name=f"Use input of …{first[-8:]}").click()
    assert json.loads(as_json(page)) == {"undecided": False}


def test_a_session_sends_and_hears(gallery: ServedApp, tab: Tab) -> None:
    page = tab.goto(f"{gallery.url}/ui/apps/gallery/live", "gallery/live")
    page.get_by_role("button", name="Open a session").click()
    expect(page.get_by_role("status").filter(has_text="open")).to_be_visible()
    page.get_by_role("textbox", name="Number", exact=True).fill("41")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("list", name="Messages, newest first")).to_contain_text('"number":42')
    page.get_by_label("as msgpack").check()
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("list", name="Messages, newest first")).to_contain_text("← came")
    expect(page.get_by_role("img", name=re.compile("Round trip"))).to_be_visible()
    assert tab.violations() == []
    page.get_by_role("button", name="Close the session").click()


def test_the_camera_is_a_source_of_a_session(gallery: ServedApp, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(permissions=["camera", "microphone"])
    page = tab.goto(f"{gallery.url}/ui/apps/gallery/live", "gallery/live")
    page.get_by_role("button", name="Open a session").click()
    page.get_by_role("button", name="Send camera").click()
    messages = page.get_by_role("list", name="Messages, newest first")
    expect(messages).to_contain_text(re.compile(r'"bytes":[1-9]\d{2}'))
    page.get_by_role("button", name="Stop sending").click()
    page.get_by_role("button", name="Close the session").click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", ["", "/lists", "/files", "?tab=api", "?tab=code", "?tab=limits", "/anything"])
def test_every_form_and_tab_is_accessible(
    open_tab: Callable[..., Tab], gallery: ServedApp, place: str, scheme: str
) -> None:
    tab = open_tab(color_scheme=scheme, viewport={"width": 1440, "height": 900})
    page = tab.goto(f"{gallery.url}/ui/apps/gallery/controls{place}")
    expect(page.locator(".panel").first).to_be_visible()
    if "code" in place:
        expect(page.locator(".command").first).to_be_visible()
    assert tab.violations() == []


@pytest.mark.parametrize("width", [320, 768])
@pytest.mark.parametrize("place", ["", "/lists", "/files", "?tab=api", "?tab=code"])
def test_no_form_scrolls_sideways(open_tab: Callable[..., Tab], gallery: ServedApp, place: str, width: int) -> None:
    tab = open_tab(viewport={"width": width, "height": 700})
    page = tab.goto(f"{gallery.url}/ui/apps/gallery/controls{place}")
    expect(page.locator(".panel").first).to_be_visible()
    if "code" in place:
        expect(page.locator(".command").first).to_be_visible()
    assert tab.sideways() == 0
