"""An app calls its own server: on any port, under keys, in `testing.serve`; its caller can use what it passes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from pondage import SyncClient
from pondage.client.errors import ServerError
from pondage.errors import PondageError
from pondage.testing import ServedApp, serve

APP = str(Path(__file__).parents[1] / "apps" / "caller.py")
OUTER = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "ai.example.test"}


@pytest.fixture(scope="module")
def keyed() -> Iterator[tuple[ServedApp, str]]:
    """A server that asks for keys, and a key of it."""
    with serve(APP) as served:
        yield served, ":".join(served.call(served.server.keys.create("outer")))


def test_it_finds_its_own_server(tmp_path: Path) -> None:
    with serve(APP) as served:
        url = SyncClient(base_url=served.url).run("acme/caller", {"text": "hi"})["passed on"]["file"]["url"]
        assert url.startswith(served.url + "/files/") and httpx2.get(url).text == "hi"


@pytest.mark.parametrize("path", ["", "/stream"])
def test_under_keys_and_behind_a_proxy_its_files_are_good_for_the_outer_caller(
    keyed: tuple[ServedApp, str], path: str
) -> None:
    served, key = keyed
    headers = {"Authorization": f"Key {key}", **OUTER}
    answer = httpx2.post(f"{served.url}/acme/caller{path}", json={"text": "hi"}, headers=headers, timeout=30)
    assert answer.status_code == 200
    output = json.loads(answer.text.partition("data: ")[2].partition("\n")[0] if path else answer.text)
    url = output["passed on"]["file"]["url"]
    assert url.startswith("https://ai.example.test/files/")
    assert httpx2.get(served.url + urlsplit(url).path).text == "hi"


def test_a_failing_apps_traceback_is_in_the_tests_failure(caplog: pytest.LogCaptureFixture) -> None:
    with serve(APP) as served, pytest.raises(ServerError):
        SyncClient(base_url=served.url).run("acme/caller/break", {})
    (record,) = [record for record in caplog.records if record.name == "pondage.testing"]
    assert "acme/caller/break failed in request" in record.message
    assert "caller.py" in record.message and "KeyError: 'what the author wants to see'" in record.message


def test_so_is_that_of_an_app_whose_setup_fails(tmp_path: Path) -> None:
    app = tmp_path / "bad.py"
    app.write_text(
        "import pondage\n\n\nclass Bad(pondage.App, name='acme/bad'):\n"
        "    def setup(self) -> None:\n        raise OSError('no weights here')\n\n"
        "    @pondage.endpoint('/')\n    def run(self) -> None: ...\n"
    )
    with pytest.raises(PondageError, match=r"(?s)acme/bad does not start.*bad\.py.*no weights here"), serve(str(app)):
        pass
