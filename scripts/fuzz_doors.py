"""The long run of the fuzzers, and its report: `make fuzz`.

python scripts/fuzz_doors.py --requests 100000 --rebinding 10000 --seeds 1 2 3 4 5

Requests are made by Schemathesis from the server's own description, both what fits it and what does not, and sent in
turn by keys of every scope, a page's token and nobody: no answer may be a server error, and none may come that the
scopes do not open. Rebinding cases are those of `tests/unit/outbound/rebinding.py`: no connection may go inside.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import logging
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.unit.outbound.rebinding import Report, run_cases  # noqa: E402

from pondage import __version__  # noqa: E402 - the tests' own module is found by the path above
from pondage.testing import ServedApp, serve  # noqa: E402
from pondage.wire.scopes import SCOPES, opened_by  # noqa: E402

REPORT = ROOT / "docs" / "fuzzing.md"
TYPED = str(ROOT / "tests" / "apps" / "typed.py")
LEFT_OUT = frozenset({"wait", "prefer", "fal_webhook"})
"""Parameters that ask for waiting, and one that would have hosts called that are not ours."""
BATCH = 50
"""Requests of one operation, of one mode, from one seed."""


class Run(NamedTuple):
    """What became of the requests."""

    sent: Counter[str]
    """By who sent them."""
    statuses: Counter[int]
    errors: list[str]
    """Server errors."""
    passes: list[str]
    """Answers that the caller's scopes do not open."""
    seconds: float


class Callers(NamedTuple):
    """Who sends requests, by name: their headers, and the scopes that they have."""

    headers: dict[str, dict[str, str]]
    scopes: dict[str, frozenset[str]]


def _callers(served: ServedApp) -> Callers:
    headers: dict[str, dict[str, str]] = {"nobody": {}}
    scopes: dict[str, frozenset[str]] = {"nobody": frozenset()}
    for scope in SCOPES:
        key = ":".join(served.call(served.server.keys.create(scope, scopes=[scope])))
        headers[f"only {scope}"], scopes[f"only {scope}"] = {"Authorization": f"Key {key}"}, frozenset({scope})
    usual = ":".join(served.call(served.server.keys.create("usual")))
    asked = requests.post(
        f"{served.url}/tokens", json={"allowed_apps": ["acme/typed"], "subject": "ann", "token_expiration": 10**5},
        headers={"Authorization": f"Key {usual}"}, timeout=30,
    )  # fmt: skip
    headers["a token"], scopes["a token"] = {"Authorization": f"Bearer {asked.json()}"}, frozenset({"submit", "read"})
    return Callers(headers, scopes)


def _named(served: ServedApp, admin: dict[str, str]) -> dict[str, str]:
    """Things that there are, for the parameters of paths."""

    def post(path: str, **body: Any) -> requests.Response:
        return requests.post(served.url + path, headers=admin, timeout=30, **body)

    request_id = post("/queue/acme/typed", json={"prompt": "x"}).headers["x-fal-request-id"]
    file = urlsplit(post("/files/upload", data=b"some bytes").json()["access_url"]).path.split("/")
    upload = urlsplit(post("/storage/upload/initiate-multipart", json={}).json()["upload_url"])
    return {
        "owner": "acme", "alias": "typed", "request_id": request_id, "file_id": file[2], "name": file[3], "n": "1",
        "upload_id": upload.path.split("/")[3], "id": post("/api/v1/webhooks/listeners").json()["id"],
    }  # fmt: skip


def fuzz_requests(wanted: int, seeds: list[int], longest: float) -> Run:
    """Send that many requests, evenly over operations, modes and seeds, or as many as `longest` seconds allow."""
    run = Run(Counter(), Counter(), [], [], 0.0)
    began = time.monotonic()
    with serve(TYPED, token_max_age=1e6) as served, requests.Session() as session:
        session.trust_env = False
        callers = _callers(served)
        known = _named(served, callers.headers["only admin"])
        schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json", headers=callers.headers["only admin"])
        schema.config.generation.update(with_security_parameters=False)
        others = [who for who in callers.headers if who != "only admin"]
        # Every other one by who may everything: what is refused at the door says nothing of what is behind it.
        turns = itertools.cycle([who for other in others for who in ("only admin", other)])
        operations = [(path, method) for path, methods in schema.raw_schema["paths"].items() for method in methods]
        for number in itertools.count():
            for one_seed, mode, (path, method) in itertools.product(seeds, GenerationMode, operations):
                if sum(run.sent.values()) >= wanted or time.monotonic() - began > longest:
                    return run._replace(seconds=time.monotonic() - began)
                names = {k: v for k, v in known.items() if f"{{{k}}}" in path} if number % 2 else None
                scope = schema.raw_schema["paths"][path][method].get("x-scope", "")

                def send(case: Case, scope: str = scope) -> None:
                    _send(served, session, case, scope, next(turns), callers, run)

                _round(schema[path][method].as_strategy(mode, path_parameters=names), send, one_seed * 1000 + number)
    raise AssertionError("the rounds have no end")


def _round(strategy: Any, send: Callable[[Case], None], number: int) -> None:
    """Send a batch of one operation's cases."""

    @seed(number)
    @settings(
        max_examples=BATCH, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def batch(case: Case) -> None:
        send(case)

    with contextlib.suppress(Unsatisfiable):  # of some operations no negative case can be made
        batch()


def _send(
    served: ServedApp, session: requests.Session, case: Case, scope: str, who: str, callers: Callers, run: Run
) -> None:
    for given_ in (case.query, case.headers):
        for name in [name for name in given_ or {} if name.lower() in LEFT_OUT]:
            del given_[name]
    answer = case.call(served.url, session, callers.headers[who], timeout=60)
    run.sent[who] += 1
    run.statuses[answer.status_code] += 1
    line = f"{case.method} {case.formatted_path} by {who}: {answer.status_code} {answer.text[:200]}"
    if answer.status_code >= 500 and answer.status_code != 503:
        run.errors.append(line)
    if scope and opened_by(scope).isdisjoint(callers.scopes[who]) and answer.status_code < 400:
        run.passes.append(line)


def fuzz_names(cases: int, seeds: list[int]) -> Report:
    """Run the rebinding cases, evenly over the seeds."""
    reports = [asyncio.run(run_cases(-(-cases // len(seeds)), one)) for one in seeds]
    connections = sum((report.connections for report in reports), Counter[str]())
    inner = [tried for report in reports for tried in report.inner]
    return Report(sum(report.cases for report in reports), connections, inner)


def written(run: Run, names: Report, seeds: list[int], wanted: int) -> str:
    """The report."""
    total = sum(run.sent.values())
    by = "\n".join(f"| {who} | {n:,} |" for who, n in sorted(run.sent.items()))
    short = "" if total >= wanted else f" Its time ended it: {wanted:,} were asked for."
    statuses = ", ".join(f"{status}: {n:,}" for status, n in sorted(run.statuses.items()))
    found = [*run.errors, *run.passes, *(f"{t.url} {t.policy} {t.to}" for t in names.inner)]
    what = "None." if not found else "\n".join(f"- `{json.dumps(line)[:300]}`" for line in found[:50])
    return f"""# The long run of the fuzzers
<!-- Made by scripts/fuzz_doors.py (`make fuzz`). -->

Version {__version__}, Python {platform.python_version()}, {platform.system()}, seeds {", ".join(map(str, seeds))}.

| what | cases | found |
| --- | --- | --- |
| requests by Schemathesis: server errors | {total:,} | {len(run.errors)} |
| the same: answers that the caller's scopes do not open | {total:,} | {len(run.passes)} |
| rebinding: connections to an inner address | {names.cases:,} | {len(names.inner)} |

The requests took {run.seconds / 60:.0f} min.{short} Answers by status: {statuses}.

The rebinding cases made {names.connections["public"]:,} connections to public addresses, and
{names.connections["loopback"]:,} to this machine where the policy allows it.

| who sent requests | how many |
| --- | --- |
{by}

## What was found

{what}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--rebinding", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=240.0, help="after which no more requests are sent")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--report", type=Path, default=REPORT)
    given_ = parser.parse_args()
    logging.disable(logging.WARNING)  # each refused call has its line
    names = fuzz_names(given_.rebinding, given_.seeds)
    run = fuzz_requests(given_.requests, given_.seeds, given_.minutes * 60)
    given_.report.write_text(written(run, names, given_.seeds, given_.requests))
    print(f"written: {given_.report}; {len(run.errors)} errors, {len(run.passes)} passes, {len(names.inner)} inside")
    return 1 if run.errors or run.passes or names.inner else 0


if __name__ == "__main__":
    sys.exit(main())
