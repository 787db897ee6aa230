"""What of the server's environment an app's process gets: not the server's own secrets, unless the app names them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

OURS = ("PONDAGE_*",)
"""Variables that settings are read from, and keys for this or another Pondage server."""

WITHHELD = (*OURS, "FAL_KEY", "FAL_KEY_ID", "FAL_KEY_SECRET", "AWS_*")

OF_STORES = {
    "gs": ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT*", "SERVICE_ACCOUNT*"),
    "az": ("AZURE_*",),
}
"""Where the credentials of an object store come from, by the scheme of the setting `files`."""

BASIC = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "TERM", "TMPDIR", "TMP", "TEMP",
    "XDG_*", "PYTHON*", "VIRTUAL_ENV", "CONDA_PREFIX", "LD_LIBRARY_PATH", "DYLD_*", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "CUDA_*", "NVIDIA_*", "ROCR_*", "HIP_*", "OMP_NUM_THREADS",
)  # fmt: skip
"""What an app with `env = "named"` gets without naming it: where programs, libraries and devices are."""


class Inherited(NamedTuple):
    """An app's environment, and the names that it does not get."""

    environment: dict[str, str]
    withheld: list[str]


def inherited(server: Mapping[str, str], *, strict: bool, passed: Sequence[str], files: str = "") -> Inherited:
    """
    Args:
        server: the server's environment.
        strict: the app gets what is in `BASIC` or `passed`, and nothing else.
        passed: names, or patterns such as `AWS_*`, that the app gets in any case.
        files: the setting `files`, whose store's credentials are withheld too.
    """
    withheld = (*WITHHELD, *OF_STORES.get(files.partition("://")[0], ()))

    def gets(name: str) -> bool:
        if _any(name, passed):
            return True
        return not _any(name, withheld) and (not strict or _any(name, BASIC))

    environment = {name: value for name, value in server.items() if gets(name)}
    return Inherited(environment, sorted(server.keys() - environment.keys()))


def said(withheld: Sequence[str], *, strict: bool) -> str:
    """One line about what an app does not get; empty where there is nothing."""
    if not withheld:
        return ""
    shown = f"{len(withheld)} variables" if strict else ", ".join(withheld)
    return f'not passed on of the server\'s environment: {shown}; pass_env = ["NAME"] in the class gives it back'


def token_of(secret: str, runner_id: str, app: str) -> str:
    """What a runner shows when it dials: of no use to take another's place."""
    return hmac.new(secret.encode(), f"{runner_id} {app}".encode(), hashlib.sha256).hexdigest()


def _any(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
