"""Every route of the published description, driven by Schemathesis: what it says is what is answered, and to whom.

Positive data fits the description, negative data does not. Beside Schemathesis' own checks: an error has `detail`. What
it cannot know (hosts, spellings of paths, wrong scopes, bodies that are no JSON) is in `test_fuzz_routes.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.schemas import BaseSchema

from pondage.gateway.openapi import described
from pondage.gateway.routes import ROUTES
from pondage.testing import serve

pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # Schemathesis does, seeded
TYPED = str(Path(__file__).parents[1] / "apps" / "typed.py")
ENDPOINTS = ["/acme/typed", "/acme/typed/plain", "/acme/typed/count"]
OPERATIONS = sorted(
    [(path, method) for path, operations in described(ROUTES).items() for method in operations]
    + [(prefix + path, "post") for path in ENDPOINTS for prefix in ("", "/queue")]
)
WITH_DATA = ENDPOINTS + [
    path
    for path, methods in described(ROUTES).items()
    if "application/json" in methods.get("post", {}).get("requestBody", {}).get("content", {})
]
"""What takes a body of some form, which can fail to fit; bytes, a path, a text are right whatever they say. What is put
into the queue is judged by the runner, and has its acknowledgement before."""
LEFT_OUT = frozenset({"wait", "prefer", "fal_webhook"})
"""Parameters that ask for waiting, and one that would have hosts called that are not ours."""


class Opened(NamedTuple):
    """A server with keys, what it publishes of itself, and the names of things in it."""

    url: str
    schema: BaseSchema
    admin: dict[str, str]
    session: requests.Session
    known: dict[str, str]


@pytest.fixture(scope="module")
def opened() -> Iterator[Opened]:
    with serve(TYPED) as served, requests.Session() as session:
        session.trust_env = False
        key_id, secret = served.call(served.server.keys.create("all", scopes=["admin"]))
        admin = {"Authorization": f"Key {key_id}:{secret}"}

        def post(path: str, **body: Any) -> requests.Response:
            return session.post(served.url + path, headers={**admin, "Prefer": "wait=20"}, timeout=30, **body)

        request_id = post("/queue/acme/typed", json={"prompt": "x"}).headers["x-fal-request-id"]
        file_url = urlsplit(post("/files/upload", data=b"some bytes").json()["access_url"]).path.split("/")
        upload = urlsplit(post("/storage/upload/initiate-multipart", json={}).json()["upload_url"])
        known = {
            "owner": "acme", "alias": "typed", "request_id": request_id, "file_id": file_url[2], "name": file_url[3],
            "upload_id": upload.path.split("/")[3], "n": "1", "id": post("/api/v1/webhooks/listeners").json()["id"],
        }  # fmt: skip
        schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json", headers=admin)
        schema.config.generation.update(with_security_parameters=False)
        schema.config.checks.update(excluded_check_names=["positive_data_acceptance"])
        yield Opened(served.url, schema, admin, session, known)


def _held_to(opened: Opened, path: str, method: str, mode: GenerationMode, examples: int) -> None:
    operation = opened.schema[path][method]
    bounded = settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    named = {name: value for name, value in opened.known.items() if f"{{{name}}}" in path}

    for names in [{}, named] if named else [{}]:

        @bounded
        @given(operation.as_strategy(mode, path_parameters=names or None))
        def holds(case: Case) -> None:
            for given_ in (case.query, case.headers):
                for name in [name for name in given_ or {} if name.lower() in LEFT_OUT]:
                    del given_[name]
            answer = case.call(opened.url, opened.session, opened.admin, timeout=30)
            sent = {"base_url": opened.url, "session": opened.session, "headers": opened.admin, "timeout": 30}
            case.validate_response(answer, headers=opened.admin, transport_kwargs=sent)
            if answer.status_code >= 400:
                assert "detail" in answer.json() and "x-fal-request-id" in answer.headers

        holds()


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_what_fits_is_answered_as_described(opened: Opened, path: str, method: str) -> None:
    _held_to(opened, path, method, GenerationMode.POSITIVE, 5)


@pytest.mark.parametrize("path", WITH_DATA)
def test_what_does_not_fit_is_refused(opened: Opened, path: str) -> None:
    _held_to(opened, path, "post", GenerationMode.NEGATIVE, 12)
