"""A caller uploads a file in each way that fal's clients do, and reads it back over HTTP."""

from __future__ import annotations

import base64
import hashlib
import socket
from datetime import UTC, datetime
from email.parser import BytesParser
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

DATA = bytes(range(256)) * 5000


def upload(http: httpx2.Client, data: bytes = DATA, type: str = "image/png", **headers: str) -> str:
    answer = http.post("/files/upload", content=data, headers={"content-type": type, **headers})
    assert answer.status_code == 200, answer.text
    url: str = answer.json()["access_url"]
    return url


# ---- uploads


@pytest.mark.parametrize("path", ["/storage/upload/initiate", "/rest/storage/upload/initiate/"])
@pytest.mark.parametrize("query", ["", "?storage_type=fal-cdn-v3", "?storage_type=gcs"])
def test_initiate_and_put_without_any_key(http: httpx2.Client, path: str, query: str) -> None:
    granted = http.post(path + query, json={"content_type": "text/plain", "file_name": "../../etc/passwd"})
    assert granted.status_code == 200, granted.text
    urls = granted.json()
    assert urls["file_url"].endswith("/passwd")
    assert http.get(urls["file_url"]).status_code == 404
    put = httpx2.put(urls["upload_url"], content=b"hello", headers={"content-type": "text/plain"})
    assert put.is_success
    got = http.get(urls["file_url"])
    assert (got.content, got.headers["content-type"]) == (b"hello", "text/plain")


def test_parts_as_javascript_sends_them(http: httpx2.Client) -> None:
    urls = http.post("/storage/upload/initiate-multipart", json={"content_type": "video/mp4", "file_name": "a"}).json()
    at = urlsplit(urls["upload_url"])
    origin = f"{at.scheme}://{at.netloc}{at.path}"
    parts = []
    for n, piece in ((2, DATA[700_000:]), (1, DATA[:700_000])):
        answer = http.put(f"{origin}/{n}?{at.query}", content=piece)
        assert answer.json()["partNumber"] == n
        assert answer.headers["etag"].strip('"') == answer.json()["etag"]
        parts.append(answer.json())
    assert [p["partNumber"] for p in http.get(urls["upload_url"]).json()["parts"]] == [1, 2]
    assert http.post(f"{origin}/complete?{at.query}", json={"parts": parts}).is_success
    assert http.get(urls["file_url"]).content == DATA


def test_token_and_parts_as_python_sends_them(http: httpx2.Client) -> None:
    token = http.post("/rest/storage/auth/token?storage_type=fal-cdn-v3", json={}).json()
    assert token["expires_at"].endswith("+00:00")
    assert datetime.fromisoformat(token["expires_at"]) > datetime.now(UTC)
    auth = {"authorization": f"{token['token_type']} {token['token']}", "x-fal-file-name": "b.bin"}
    begun = http.post(f"{token['base_url']}/files/upload/multipart", headers={**auth, "content-type": "audio/wav"})
    url, upload_id = begun.json()["access_url"], begun.json()["uploadId"]
    parts = []
    for n in (3, 1, 2):
        answer = http.put(f"{url}/multipart/{upload_id}/{n}", content=bytes([n]) * 1000, headers=auth)
        parts.append({"partNumber": n, "etag": answer.headers["etag"]})
    done = http.post(f"{url}/multipart/{upload_id}/complete", json={"parts": parts}, headers=auth)
    assert done.is_success, done.text
    got = http.get(url)
    assert got.content == b"\1" * 1000 + b"\2" * 1000 + b"\3" * 1000
    assert got.headers["content-type"] == "audio/wav"


def test_direct_upload(http: httpx2.Client) -> None:
    headers = {b"content-type": b"image/png", b"x-fal-file-name": "a b\u00e9.png".encode()}
    url = http.post("/files/upload", content=DATA, headers=headers).json()["access_url"]
    assert url.endswith("/a%20b%C3%A9.png")
    assert http.get(url).content == DATA


def test_form_upload(http: httpx2.Client) -> None:
    files: list[tuple[str, Any]] = [
        ("one", ("x.png", DATA, "image/png")),
        ("two", ("y.txt", b"", "text/plain")),
    ]
    answer = http.post("/files/upload", data={"note": "hi"}, files=files)
    assert answer.status_code == 200, answer.text
    names = [(f["file_name"], f["file_size"], f["content_type"]) for f in answer.json()["files"]]
    assert names == [("x.png", len(DATA), "image/png"), ("y.txt", 0, "text/plain")]
    assert http.get(answer.json()["access_url"]).content == DATA


def test_a_broken_form_is_refused(http: httpx2.Client) -> None:
    for content_type, body in (
        ("multipart/form-data; boundary=x", b"--x\r\ncontent-disposition: form-data; filename=a\r\n\r\nhalf"),
        ("multipart/form-data; boundary=x", b"nothing"),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("multipart/form-data", b"--x--"),
    ):
        answer = http.post("/files/upload", content=body, headers={"content-type": content_type})
        assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(
    ("second", "status"),
    [
        (b"content-disposition: form-data; name=b; filename=b\r\ncontent-type: nonsense\r\n\r\n2\r\n--x--", 422),
        (b"content-disposition: form-data; name=b; filename=b\x07\r\n\r\n2\r\n--x--", 422),
        (b"content-disposition: form-data; name=b\x07; filename=b\r\n\r\n2\r\n--x--", 422),
        (b"content-disposition: form-data; name=b; filename=b\r\n\r\nhalf", 400),
        (b"", 400),
    ],
)
def test_a_form_is_stored_with_all_of_its_files_or_not_at_all(http: httpx2.Client, second: bytes, status: int) -> None:
    first = b'--x\r\ncontent-disposition: form-data; name=a; filename="first of two"\r\n\r\n1\r\n--x\r\n'
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = http.post("/files/upload", content=first + second, headers=headers)
    assert answer.status_code == status, answer.text
    assert _listed(http, "first of two") == []


def test_control_characters_in_an_etag_are_422(http: httpx2.Client) -> None:
    urls = http.post("/storage/upload/initiate-multipart", json={}).json()
    at = httpx2.URL(urls["upload_url"])
    answer = httpx2.post(
        at.copy_with(path=f"{at.path}/complete"), json={"parts": [{"partNumber": 1, "etag": "a\u0000"}]}
    )
    assert answer.status_code == 422, answer.text


def test_an_abandoned_upload_is_gone(http: httpx2.Client) -> None:
    urls = http.post("/storage/upload/initiate-multipart", json={}).json()
    assert http.delete(urls["upload_url"]).is_success
    assert http.get(urls["upload_url"]).status_code == 404


@pytest.mark.parametrize("change", ["token=", "token=99999999999.forged", "no"])
def test_a_forged_signature_is_refused(http: httpx2.Client, change: str) -> None:
    urls = http.post("/storage/upload/initiate", json={}).json()
    url = urls["upload_url"].partition("?")[0] + "?" + change
    assert httpx2.put(url, content=b"x").status_code == 401
    assert http.get(urls["file_url"]).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        b"[]", b"{", b'{"file_name": 1}', b'{"file_name": "a\\u0000b"}', b'{"file_name": "a\\nb"}',
        b'{"content_type": "text/plain\\r\\nset-cookie: a"}', b'{"content_type": "nonsense"}',
        b'{"file_name": "\\ud800"}', b"\xff",
    ],
)  # fmt: skip
def test_what_cannot_be_is_422(http: httpx2.Client, body: bytes) -> None:
    answer = http.post("/storage/upload/initiate", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    "header", ["{", "[]", '{"expiration_duration_seconds": -1}', '{"initial_acl": {"default": "perhaps"}}']
)
def test_a_lifecycle_that_cannot_be_is_422(http: httpx2.Client, header: str) -> None:
    answer = http.post("/storage/upload/initiate", json={}, headers={"x-fal-object-lifecycle": header})
    assert answer.status_code == 422, answer.text


def test_checksums_are_compared(http: httpx2.Client) -> None:
    sha256, md5 = hashlib.sha256(DATA).hexdigest(), base64.b64encode(hashlib.md5(DATA).digest()).decode()
    upload(http, **{"pondage-sha256": sha256, "content-md5": md5})
    for headers in ({"pondage-sha256": "0" * 64}, {"content-md5": base64.b64encode(bytes(16)).decode()}):
        answer = http.post("/files/upload", content=DATA, headers={"content-type": "image/png", **headers})
        assert answer.status_code == 400
        assert "nothing was stored" in answer.json()["detail"]
    # The answer comes before the body: of that no more than `unread_bytes` is read, then the connection ends.
    for headers in ({"pondage-sha256": "zz"}, {"content-md5": "zz"}):
        assert httpx2.post(f"{http.base_url}/files/upload", content=DATA, headers=headers).status_code == 422


# ---- downloads


def _listed(http: httpx2.Client, name: str) -> list[dict[str, Any]]:
    return [
        one for one in http.get("/api/v1/files", params={"limit": 1000}).json()["files"] if one["file_name"] == name
    ]


def test_a_length_that_lies_leaves_nothing_and_a_repeat_works(http: httpx2.Client) -> None:
    urls = http.post("/storage/upload/initiate", json={"file_name": "cut.bin"}).json()
    at = urlsplit(urls["upload_url"])
    head = f"PUT {at.path}?{at.query} HTTP/1.1\r\nhost: {at.netloc}\r\ncontent-length: 100\r\n\r\n"
    with socket.create_connection((str(at.hostname), int(at.port or 80))) as connection:
        connection.sendall(head.encode() + b"only so much")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1000):  # until the server has given up on the rest
            pass
    assert http.get(urls["file_url"]).status_code == 404
    assert _listed(http, "cut.bin") == []
    assert httpx2.put(urls["upload_url"], content=b"all of it").is_success
    assert http.get(urls["file_url"]).content == b"all of it"


@pytest.mark.parametrize(
    "rest",
    [
        b"content-length: 3\r\n\r\nmore than three",
        b"content-length: 70000\r\n\r\n" + b"x" * 90_000,
        b"transfer-encoding: chunked\r\n\r\n5\r\nabc\r\nzz",
        b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
    ],
)
def test_a_body_that_is_not_as_announced_is_refused_and_leaves_nothing(http: httpx2.Client, rest: bytes) -> None:
    at = urlsplit(str(http.base_url))
    head = f"POST /files/upload HTTP/1.1\r\nhost: {at.netloc}\r\nx-fal-file-name: liar.bin\r\n"
    with socket.create_connection((str(at.hostname), int(at.port or 80)), timeout=10) as connection:
        connection.sendall(head.encode() + rest)
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ") and b"nothing was done" in answer
    assert _listed(http, "liar.bin") == []


def test_a_file_without_bytes_is_a_file(http: httpx2.Client) -> None:
    url = upload(http, b"", "text/plain")
    got = http.get(url)
    assert (got.status_code, got.content, got.headers["content-length"]) == (200, b"", "0")
    assert http.get(url, headers={"range": "bytes=0-0"}).status_code == 416


@pytest.mark.parametrize("type", ["text/html", "application/x-msdownload", "made/up", "image/png; charset=nonsense"])
def test_any_type_is_stored_and_served_as_it_was_declared(http: httpx2.Client, type: str) -> None:
    assert http.get(upload(http, b"no picture at all", type)).headers["content-type"] == type


def test_a_part_with_another_etag_a_missing_part_and_none_at_all_are_400(http: httpx2.Client) -> None:
    urls = http.post("/storage/upload/initiate-multipart", json={"file_name": "parts.bin"}).json()
    at = httpx2.URL(urls["upload_url"])
    for n in (1, 3):
        sent = httpx2.put(at.copy_with(path=f"{at.path}/{n}"), content=b"part %d" % n).json()
    for parts, says in (
        ([], "no parts"),
        ([{"partNumber": 1, "etag": "x"}, sent], "missing: 2"),
        ([sent, sent], "twice"),
    ):
        answer = httpx2.post(at.copy_with(path=f"{at.path}/complete"), json={"parts": parts})
        assert answer.status_code == 400 and says in answer.json()["detail"], answer.text
    assert http.get(urls["file_url"]).status_code == 404 and _listed(http, "parts.bin") == []
    first, second = (httpx2.put(at.copy_with(path=f"{at.path}/{n}"), content=b"part %d" % n).json() for n in (1, 2))
    wrong = httpx2.post(at.copy_with(path=f"{at.path}/complete"), json={"parts": [first, second | {"etag": "x"}, sent]})
    assert wrong.status_code == 400 and "part 2" in wrong.json()["detail"]
    done = httpx2.post(at.copy_with(path=f"{at.path}/complete"), json={"parts": [sent, first, second]})
    assert done.is_success, done.text
    assert http.get(urls["file_url"]).content == b"part 1part 2part 3"


def test_what_a_download_says_of_itself(http: httpx2.Client) -> None:
    url = upload(http)
    got = http.get(url)
    assert got.headers["content-length"] == str(len(DATA))
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["accept-ranges"] == "bytes"
    assert got.headers["content-disposition"].startswith("inline")
    head = http.head(url)
    assert head.status_code == 200
    assert head.content == b""
    for name in ("content-length", "etag", "content-type", "last-modified"):
        assert head.headers[name] == got.headers[name]


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [("bytes=0-0", 0, 1), ("bytes=5-", 5, None), ("bytes=-7", -7, None), ("bytes=10-99999999999", 10, None),
     ("bytes= 3 - 4", 3, 5), ("bytes=0-5,3-9", 0, 10), ("bytes=-99999999", 0, None)],
)  # fmt: skip
def test_one_range(http: httpx2.Client, wanted: str, start: int, end: int | None) -> None:
    got = http.get(upload(http), headers={"range": wanted})
    assert got.status_code == 206
    assert got.content == DATA[start:end]
    first = start % len(DATA)
    last = first + len(got.content) - 1
    assert got.headers["content-range"] == f"bytes {first}-{last}/{len(DATA)}"


def test_several_ranges(http: httpx2.Client) -> None:
    got = http.get(upload(http), headers={"range": "bytes=1200000-1200009,0-4,-3"})
    assert got.status_code == 206
    assert int(got.headers["content-length"]) == len(got.content)
    message = BytesParser().parsebytes(
        b"content-type: " + got.headers["content-type"].encode() + b"\r\n\r\n" + got.content
    )
    parts = message.get_payload()
    assert isinstance(parts, list)
    assert [part["content-range"] for part in parts] == [  # type: ignore[index]
        f"bytes {span}/{len(DATA)}" for span in ("1200000-1200009", "0-4", f"{len(DATA) - 3}-{len(DATA) - 1}")
    ]
    boundary = got.headers["content-type"].split("boundary=")[1].encode()
    bodies = [p.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for p in got.content.split(b"--" + boundary)[1:-1]]
    assert bodies == [DATA[1200000:1200010], DATA[:5], DATA[-3:]]


@pytest.mark.parametrize(
    "wanted",
    ["bytes=9999999-", "bytes=5-3", "bytes=a-b", "bytes=-", "bytes=", "bytes=-0", "bytes=1", "bytes=0-0," * 70],
)
def test_a_range_that_cannot_be_is_416(http: httpx2.Client, wanted: str) -> None:
    got = http.get(upload(http), headers={"range": wanted})
    assert got.status_code == 416
    assert got.headers["content-range"] == f"bytes */{len(DATA)}"


@pytest.mark.parametrize(
    "wanted", ["bytes=0-9", "bytes=-7", "bytes=1200000-1200009,0-4", "bytes=9999999-", "lines=1-2"]
)
def test_head_says_of_a_range_what_get_says(http: httpx2.Client, wanted: str) -> None:
    url = upload(http)
    got, head = (http.request(method, url, headers={"range": wanted}) for method in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (got.status_code, b"")
    for name in ("content-length", "content-range", "etag", "accept-ranges"):
        assert head.headers.get(name) == got.headers.get(name), name


def test_a_page_may_send_and_read_what_files_need(http: httpx2.Client) -> None:
    """A browser sends and shows only what the answers to its preflight and its call name."""
    url, page = upload(http), {"origin": "http://localhost:3000"}
    wanted = {"range", "if-range", "if-none-match", "if-modified-since", "content-md5", "pondage-sha256"}
    asked = {"access-control-request-method": "PUT", "access-control-request-headers": ", ".join(wanted)}
    preflight = http.options(url, headers=page | asked)
    assert wanted <= set(preflight.headers["access-control-allow-headers"].split(", "))
    shown = http.get(url, headers=page).headers["access-control-expose-headers"].split(", ")
    assert {"etag", "content-range", "accept-ranges", "content-disposition"} <= set(shown)


def test_conditions(http: httpx2.Client) -> None:
    url = upload(http)
    whole = http.get(url)
    etag, modified = whole.headers["etag"], whole.headers["last-modified"]
    for headers in ({"if-none-match": etag}, {"if-none-match": f'"x", W/{etag}'}, {"if-none-match": "*"},
                    {"if-modified-since": modified}):  # fmt: skip
        got = http.get(url, headers=headers)
        assert (got.status_code, got.content, got.headers["etag"]) == (304, b"", etag)
    for headers in ({"if-none-match": '"x"', "if-modified-since": modified}, {"if-modified-since": "nonsense"}):
        assert http.get(url, headers=headers).status_code == 200
    for given, status in ((etag, 206), (modified, 206), ('"x"', 200), (f"W/{etag}", 200), ("nonsense", 200)):
        assert http.get(url, headers={"range": "bytes=0-1", "if-range": given}).status_code == status
    assert http.get(url, headers={"range": "lines=0-1"}).status_code == 200


@pytest.mark.parametrize("type", ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "text/javascript"])
def test_nothing_executes_in_the_gateway_s_origin(http: httpx2.Client, type: str) -> None:
    got = http.get(upload(http, b"<script>alert(1)</script>", type))
    assert got.headers["content-type"] == type
    assert got.headers["content-disposition"].startswith("attachment")
    assert got.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert got.headers["x-content-type-options"] == "nosniff"


def test_private_files_need_a_signed_url(http: httpx2.Client) -> None:
    hidden = '{"initial_acl": {"default": "hide"}, "expiration_duration_seconds": 3600}'
    url = upload(http, b"mine", "text/plain", **{"x-fal-object-lifecycle": hidden})
    assert http.get(url).status_code == 403
    signed = http.post(url + "/sign", json={"expires_in": 60}).json()["url"]
    got = http.get(signed)
    assert (got.content, got.headers["cache-control"]) == (b"mine", "private, no-store")
    assert http.get(signed + "x").status_code == 401


def test_deleted_and_unknown_files_are_404(http: httpx2.Client) -> None:
    url = upload(http)
    assert any(f["url"] == url for f in http.get("/api/v1/files?limit=1000").json()["files"])
    assert http.delete(url).is_success
    for path in (url, "/files/0123456789abcdef/x", "/files/x/y", "/files/%00/x"):
        got = http.get(path)
        assert got.status_code == 404, path
        assert got.json()["detail"]


def test_the_list_has_pages(http: httpx2.Client) -> None:
    made = [upload(http, bytes([n]), "text/plain") for n in range(3)]
    first = http.get("/api/v1/files?limit=2").json()
    second = http.get("/api/v1/files", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [f["url"] for f in (*first["files"], *second["files"])][:3] == made[::-1]
    assert http.get("/api/v1/files?limit=0").status_code == 422
    assert http.get("/api/v1/files?cursor=x").status_code == 422


def test_an_input_names_ten_thousand_files_at_most(http: httpx2.Client) -> None:
    def status(count: int) -> int:
        urls = [f"http://127.0.0.1/files/{n:032x}/a" for n in range(count)]
        return http.post("/queue/acme/echo", json={"urls": urls}).status_code

    assert [status(count) for count in (10_000, 10_001)] == [200, 422]


def test_a_file_is_put_together_from_ten_thousand_parts_at_most(http: httpx2.Client) -> None:
    url = http.post("/storage/upload/initiate-multipart", json={"file_name": "x"}).json()["upload_url"]
    at, _, token = url.partition("?")
    refused = http.post(f"{at}/complete?{token}", json={"parts": [{"etag": "a"}] * 10_001})
    assert refused.status_code == 422 and refused.json()["detail"][0]["loc"] == ["body", "parts"]
