"""Which store a URL names. Nobody is asked: what the stores do is told by the conformance tests."""

from __future__ import annotations

import pytest
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from pondage.errors import SetupError
from pondage.files.objects import ObjectBlobs, store_of

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
