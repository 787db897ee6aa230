"""What an app's process gets of the server's environment."""

from __future__ import annotations

from pondage.fleet.environment import inherited, said, token_of

SERVER = {
    "PATH": "/bin", "HOME": "/root", "LC_ALL": "C", "CUDA_VISIBLE_DEVICES": "0", "HF_TOKEN": "h", "MODELS": "/m",
    "PONDAGE_DATA": "d", "PONDAGE_KEY": "k", "FAL_KEY": "f", "FAL_KEY_ID": "i", "FAL_KEY_SECRET": "s",
    "AWS_SECRET_ACCESS_KEY": "a", "AWS_REGION": "r", "GOOGLE_APPLICATION_CREDENTIALS": "g", "AZURE_STORAGE_KEY": "z",
    "aws_like": "x",
}  # fmt: skip
SECRET = {name for name in SERVER if name.startswith(("PONDAGE_", "FAL_KEY", "AWS_"))}


def test_the_servers_secrets_stay_with_it() -> None:
    environment, withheld = inherited(SERVER, strict=False, passed=())
    assert set(withheld) == SECRET
    assert environment == {name: value for name, value in SERVER.items() if name not in SECRET}


def test_names_and_patterns_give_back() -> None:
    environment, withheld = inherited(SERVER, strict=False, passed=["AWS_*", "FAL_KEY"])
    assert environment["AWS_SECRET_ACCESS_KEY"] == "a" and environment["FAL_KEY"] == "f"
    assert withheld == ["FAL_KEY_ID", "FAL_KEY_SECRET", "PONDAGE_DATA", "PONDAGE_KEY"]


def test_named_is_strict() -> None:
    environment, _ = inherited(SERVER, strict=True, passed=["MODELS"])
    assert environment.keys() == {"PATH", "HOME", "LC_ALL", "CUDA_VISIBLE_DEVICES", "MODELS"}


def test_the_credentials_of_the_store_stay_with_the_server() -> None:
    assert "GOOGLE_APPLICATION_CREDENTIALS" in inherited(SERVER, strict=False, passed=(), files="gs://b/p").withheld
    assert "AZURE_STORAGE_KEY" in inherited(SERVER, strict=False, passed=(), files="az://b").withheld
    assert "AZURE_STORAGE_KEY" not in inherited(SERVER, strict=False, passed=(), files="./folder").withheld


def test_one_line_says_what_is_missing_and_how_to_get_it() -> None:
    assert said([], strict=False) == ""
    line = said(["AWS_REGION", "FAL_KEY"], strict=False)
    assert "AWS_REGION, FAL_KEY" in line and 'pass_env = ["NAME"]' in line
    assert "40 variables" in said(["X"] * 40, strict=True)


def test_a_token_is_one_runners_alone() -> None:
    tokens = {token_of(secret, runner, app) for secret in "st" for runner in ("r1", "r2") for app in ("a/b", "a/c")}
    assert len(tokens) == 8
