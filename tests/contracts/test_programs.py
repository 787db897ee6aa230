"""Programs that speak fal's protocol already, unchanged, with the lines that docs/programs.md gives for each.

Each runs in a process of its own, as its published package. What is not installed here skips, and says how to get it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from pondage.testing import ServedApp, serve

pytestmark = pytest.mark.slow

APPS = Path(__file__).parents[1] / "apps"
PACKAGES = Path(__file__).parent / "programs"
INSTALL_LIMIT = 600.0
LIMIT = 100.0


@pytest.fixture(scope="module")
def served() -> Iterator[ServedApp]:
    """`fal-ai/flux/dev`, since some programs have the names of fal's models built in."""
    with serve(str(APPS / "imitation.py")) as served:
        yield served


@pytest.fixture(scope="session")
def node() -> str:
    """Node of the wheel, with the packages of programs/package-lock.json."""
    scripts = Path(sysconfig.get_path("scripts"))
    if not (scripts / "node").exists():
        pytest.skip("Node is not here: pip install --group web")
    environment = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}"}
    lock = hashlib.sha256((PACKAGES / "package-lock.json").read_bytes()).hexdigest()
    stamp = PACKAGES / "node_modules" / ".installed"
    with open(PACKAGES / ".npm-lock", "w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != lock:
            ran = subprocess.run(
                [scripts / "npm", "ci"], cwd=PACKAGES, env=environment,
                capture_output=True, text=True, timeout=INSTALL_LIMIT,
            )  # fmt: skip
            if ran.returncode:
                pytest.skip(f"npm cannot install the programs: {ran.stderr.strip()[-400:]}")
            stamp.write_text(lock)
    return str(scripts / "node")


def said(ran: subprocess.CompletedProcess[str]) -> Any:
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.strip().splitlines()[-1])


def script(node: str, name: str, url: str, *more: str) -> Any:
    environment = os.environ | {"GATEWAY_URL": url}
    return said(
        subprocess.run(
            [node, name, *more], cwd=PACKAGES, env=environment, capture_output=True, text=True, timeout=LIMIT
        )
    )


def python(package: str, code: str, url: str) -> Any:
    if find_spec(package) is None:
        pytest.skip(f"{package} is not here: pip install {package}")
    ran = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, timeout=LIMIT)
    return said(ran)


def test_the_ai_sdk(served: ServedApp, node: str) -> None:
    assert script(node, "aisdk.mjs", served.url) == {"type": "image/png", "size": 70}


def test_tanstack_ai(served: ServedApp, node: str) -> None:
    assert script(node, "tanstack.mjs", served.url)["url"].startswith(served.url + "/files/")


@pytest.mark.parametrize("framework", ["express", "hono", "next"])
def test_fals_server_proxy(served: ServedApp, node: str, framework: str) -> None:
    assert script(node, "proxy.mjs", served.url, framework) == {"ran": "a fox", "subscribed": "two foxes"}


HUGGING_FACE = """
import json, sys
from huggingface_hub import InferenceClient
from huggingface_hub.hf_api import InferenceProviderMapping
from huggingface_hub.inference._providers import PROVIDERS
from huggingface_hub.inference._providers._common import HARDCODED_MODEL_INFERENCE_MAPPING as MODELS

PROVIDERS["fal-ai"]["text-to-image"].base_url = sys.argv[1]
MODELS["fal-ai"]["acme/flux"] = InferenceProviderMapping(
    provider="fal-ai", hf_model_id="acme/flux", providerId="fal-ai/flux/dev", status="live", task="text-to-image"
)
image = InferenceClient(provider="fal-ai", api_key="a:b").text_to_image("a fox", model="acme/flux")
print(json.dumps(image.size))
"""


def test_hugging_face(served: ServedApp) -> None:
    assert python("huggingface_hub", HUGGING_FACE, served.url) == [1, 1]


LITELLM = """
import json, os, sys
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it asks the network for prices otherwise
import litellm

made = litellm.image_generation(
    model="fal_ai/fal-ai/flux/dev", prompt="a fox", api_base=sys.argv[1], api_key="a:b"
)
print(json.dumps(made.data[0].url))
"""


def test_litellm(served: ServedApp) -> None:
    assert python("litellm", LITELLM, served.url).startswith(served.url + "/files/")
