"""`python scripts/sbom.py PYTHON OUT`: the bill of materials of an environment that has the wheel, as CycloneDX JSON.

`make dist` calls it for the environment in which it tries the wheel with its extra `server`: that is what a user gets,
with the versions that everything was tested with.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = frozenset({"pip", "setuptools", "wheel"})
"""What an environment has besides, and nobody needs in order to run."""


def write(python: Path, out: Path) -> None:
    """Write the bill of materials of `python`'s environment to `out`."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--of", "JSON"]
    made = subprocess.run(  # noqa: S603 - our own interpreter
        [*command, "--pyproject", str(ROOT / "pyproject.toml"), "-o", "-", str(python)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    bill = json.loads(made.stdout)
    tools = {one["bom-ref"] for one in bill["components"] if one["name"].lower() in TOOLS}
    bill["components"] = [one for one in bill["components"] if one["bom-ref"] not in tools]
    bill["dependencies"] = [
        {**one, "dependsOn": [ref for ref in one["dependsOn"] if ref not in tools]} if "dependsOn" in one else one
        for one in bill["dependencies"]
        if one["ref"] not in tools
    ]
    for one in [*bill["components"], bill["metadata"]["component"]]:
        # Where a package came from on this machine is nobody's business.
        there = [ref for ref in one.get("externalReferences", ()) if not ref["url"].startswith("file:")]
        one["externalReferences"] = there
    out.write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
