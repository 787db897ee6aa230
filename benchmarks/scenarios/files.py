"""Files: upload and download through the gateway, beside FastAPI. `benchmarks.files` measures; it has its own flags."""

from __future__ import annotations

from benchmarks.figures import OURS, Section, ratios
from benchmarks.plan import Plan, told_by

NAME = "files"
TITLE = "Upload and download through the gateway"
SUBJECTS = {
    "pondage": OURS,
    "fastapi": "FastAPI, no fsync",
    "fastapi+fsync": "FastAPI, fsync",
    "disk": "the disk: all written, then fsync",
}


async def measure(plan: Plan, section: Section) -> None:
    """One file at a time, then many at once; every file is compared by its checksum."""
    amount = (
        ["--sizes", "64", "--rounds", "2", "--many", "16"] if plan.quick else ["--sizes", "256,2048", "--many", "100"]
    )
    told = await told_by(plan, "benchmarks.files", *amount, "--folder", str(plan.scratch))
    for what, rows in told.items():
        for row in rows:
            subject = SUBJECTS[row["server"]]
            section.add(f"upload, {what}", subject, "MB/s", "more", [row["upload_mb_s"]])
            if "errors" in row:
                section.add(f"errors, {what}", subject, "uploads", "less", [row["errors"]])
            if "growth_mib" in row:
                section.add(f"growth of memory, {what}", subject, "MiB", "less", [row["growth_mib"]])
            if "download_mb_s" in row:
                section.add(f"download, {what}", subject, "MB/s", "more", [row["download_mb_s"]])
        section.goal(f"errors, {what}", "uploads", section.samples(f"errors, {what}", OURS), most=0)
        for verb in ("upload", "download"):
            ours, theirs = (section.samples(f"{verb}, {what}", SUBJECTS[one]) for one in ("pondage", "fastapi"))
            section.goal(f"{verb}, {what}, by FastAPI's", "times", ratios(ours, theirs), least=1)
        section.goal(f"growth of memory, {what}", "MiB", section.samples(f"growth of memory, {what}", OURS), most=32)
