"""Webhooks: deliveries beside a plain loop of the HTTP client, in a storm of faults, and beside hosts that are dead.

`benchmarks.webhooks` measures; it has its own flags.
"""

from __future__ import annotations

from benchmarks.figures import OURS, Section
from benchmarks.plan import Plan, told_by

NAME = "webhooks"
TITLE = "Webhook deliveries"


async def measure(plan: Plan, section: Section) -> None:
    """The storm takes at least 20 s of faults, so a quick run leaves it out."""
    what = ["throughput"] if plan.quick else ["throughput", "storm", "dead"]
    count = "1000" if plan.quick else "20000"
    told = await told_by(plan, "benchmarks.webhooks", *what, "--deliveries", count)
    speed = told["throughput"]
    section.add("deliveries", OURS, "deliveries/s", "more", [speed["deliveries_per_s"]], limit="http")
    section.add("deliveries", "plain loop of aiohttp", "deliveries/s", "more", [speed["plain_loop_per_s"]])
    section.add("deliveries, by a plain loop's", OURS, "times", "more", [speed["ratio"]], limit="one")
    if storm := told.get("storm"):
        section.goal("storm: deliveries that arrived", "%", [100 * storm["arrived"] / storm["deliveries"]], least=100)
        section.goal("storm: taken twice", "%", [storm["taken_twice_pct"]], most=0.5)
        section.goal("storm: taken twice without a lost answer", "deliveries",
                     [max(0, storm["taken_twice"] - storm["answers_lost"])], most=0)  # fmt: skip
    if dead := told.get("dead"):
        section.goal("p95 of healthy hosts beside 100 dead ones", "s", [dead["p95_s"]], most=2)
