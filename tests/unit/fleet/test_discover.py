"""Which apps a file holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from pondage.errors import SetupError
from pondage.fleet.discover import discover

pytestmark = pytest.mark.anyio


async def names(path: Path, source: str, *, only: str = "", owner: str = "local") -> list[str]:
    path.write_text(source)
    return [app.name for app in await discover(f"{path}{only}", owner)]


async def test_every_app_of_a_file_in_order(tmp_path: Path) -> None:
    source = "import pondage\nclass TextToImage(pondage.App): pass\nclass B(pondage.App, name='acme/b'): pass\n"
    assert await names(tmp_path / "a.py", source) == ["local/text-to-image", "acme/b"]
    assert await names(tmp_path / "a.py", source, only=":B") == ["acme/b"]


async def test_a_name_may_stand_in_the_body(tmp_path: Path) -> None:
    source = "from pondage import App\nclass A(App):\n    app_name = 'flux'\n"
    assert await names(tmp_path / "a.py", source, owner="acme") == ["acme/flux"]


async def test_a_file_that_does_not_parse_still_has_a_name(tmp_path: Path) -> None:
    assert await names(tmp_path / "my_model.py", "class A(") == ["local/my-model"]


async def test_a_name_that_only_the_running_code_knows(tmp_path: Path) -> None:
    source = "import pondage\nN = 'made' + '-up'\nclass A(pondage.App, name=N): pass\n"
    assert await names(tmp_path / "a.py", source) == ["local/made-up"]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("x = 1\n", "derives from pondage.App"),
        ("import pondage\nclass A(pondage.App, name='queue/a'): pass\n", "gateway's own"),
        ("import pondage\nclass A(pondage.App, name='a b'): pass\n", "not a name"),
    ],
)
async def test_what_cannot_be_served_is_said(tmp_path: Path, source: str, why: str) -> None:
    with pytest.raises(SetupError, match=why):
        await names(tmp_path / "a.py", source)


async def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="there is no file"):
        await discover(str(tmp_path / "nowhere.py"), "local")


@pytest.mark.parametrize(
    ("head", "body", "env", "passed"),
    [
        ("pondage.App", "pass", "inherit", ()),
        ("pondage.App, env='named', pass_env=['A', 'B_*']", "pass", "named", ("A", "B_*")),
        ("pondage.App", "env = 'named'; pass_env: list = ['A']", "named", ("A",)),
        ("pondage.App", "env = 'prod'", "inherit", ()),
        ("pondage.App, pass_env=NAMES", "pass", "inherit", ("MADE_UP",)),
        ("pondage.App", "def env(self): ...", "inherit", ()),
    ],
)
async def test_what_an_app_says_of_its_environment(
    tmp_path: Path, head: str, body: str, env: str, passed: tuple[str, ...]
) -> None:
    (tmp_path / "a.py").write_text(f"import pondage\nNAMES = ['MADE' + '_UP']\nclass A({head}):\n    {body}\n")
    (source,) = await discover(str(tmp_path / "a.py"), "local")
    assert (source.env, source.pass_env) == (env, passed)
