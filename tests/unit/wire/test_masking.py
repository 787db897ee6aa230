"""URLs as they may be shown."""

from __future__ import annotations

import pytest

from pondage.wire.masking import masked


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "s3://bucket/p?secret_access_key=S3CR3T&region=eu-west-1",
            "s3://bucket/p?secret_access_key=…&region=eu-west-1",
        ),
        ("s3://bucket/p?AWS_SECRET_ACCESS_KEY=S3CR3T", "s3://bucket/p?AWS_SECRET_ACCESS_KEY=…"),
        ("s3://key:S3CR3T@bucket/p", "s3://…@bucket/p"),
        ("az://c?account_name=acme&account_key=S3CR3T", "az://c?account_name=acme&account_key=…"),
        ("s3://b?endpoint=http%3A%2F%2Fu%3AS3CR3T%40minio%3A9000", "s3://b?endpoint=http://…@minio:9000"),
        ("https://host/path?S3CR3T#S3CR3T", "https://host/path?…#…"),
        ("postgresql://user:S3CR3T@db/pondage?password=S3CR3T", "postgresql://…@db/pondage?password=…"),
        ("http://user:S3CR3T@[::1]:8000/x", "http://…@[::1]:8000/x"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("./pondage-data", "./pondage-data"),
        ("", ""),
    ],
)
def test_what_may_be_a_secret_is_not_shown(url: str, shown: str) -> None:
    assert masked(url) == shown and "S3CR3T" not in masked(url)
