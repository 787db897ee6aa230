"""Which store a URL names. Nobody is asked: what the stores do is told by the conformance tests."""

from __future__ import annotations

import pytest
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from pondage.errors import SetupError
from pondage.files.blobs import DamagedFile
from pondage.files.objects import ObjectBlobs, store_of
from pondage.fleet.transfers import _refused

pytestmark = pytest.mark.anyio

AZURE = "?azure_storage_account_name=acme&azure_storage_account_key=a2V5"


@pytest.mark.parametrize(
    ("url", "kind", "bucket"),
    [
        ("s3://bucket/some/prefix?region=eu-west-1&endpoint=http://127.0.0.1:9", S3Store, ("bucket", "bucket")),
        ("gs://bucket/some/prefix", GCSStore, ("bucket", "bucket")),
        (f"az://bucket/some/prefix{AZURE}", AzureStore, ("container_name", "bucket")),
        (f"azure://bucket/some/prefix{AZURE}", AzureStore, ("container_name", "bucket")),
    ],
)
def test_a_url_names_a_store(url: str, kind: type, bucket: tuple[str, str]) -> None:
    store = store_of(url)
    assert isinstance(store, kind)
    assert store.prefix == "some/prefix"  # type: ignore[attr-defined]
    assert store.config[bucket[0]] == bucket[1]  # type: ignore[attr-defined]


@pytest.mark.parametrize("url", ["ftp://bucket/prefix", "az://container/prefix", "s3://bucket?no_such_option=1"])
async def test_what_names_none_is_said_at_the_start(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises((BaseError, ValueError)):
        store_of(url)
    with pytest.raises(SetupError, match="cannot use the files at"):
        await ObjectBlobs.open(url)


async def test_only_s3_takes_bytes_by_a_signed_url() -> None:
    for url in ("gs://bucket/prefix", f"az://bucket/prefix{AZURE}"):
        assert await ObjectBlobs(store_of(url), url=url).presign_put("key", 60) is None


def test_a_caller_hears_nothing_of_the_store_or_its_keys(caplog: pytest.LogCaptureFixture) -> None:
    """Operators do: in the text of the error, which the log has."""
    store = store_of("s3://bucket/prefix?region=eu-west-1&endpoint=http://10.9.8.7:9000")
    down = ObjectBlobs(store, url="s3://bucket/prefix")._refused(BaseError("http://10.9.8.7:9000/blob-1 is down"))
    damaged = DamagedFile("stored bytes are damaged: block 1 of blob-1 fails its checksum")
    for error, secrets in ((down, (b"s3:", b"10.9.8.7", b"blob")), (damaged, (b"blob-1", b"block"))):
        assert not any(secret in error.body() or secret.decode() in error.told for secret in secrets)
        assert all(secret.decode() in str(error) for secret in secrets)
        told = _refused(1, error)
        assert told.error == error.told and str(error) in caplog.text
    assert _refused(1, OSError("/secret/place")).error == "the server failed; its log says why"
