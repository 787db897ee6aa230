import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { scale, spans, type Span } from "../src/timeline/spans.ts";

const vectors = JSON.parse(readFileSync(new URL("../../tests/web/spans.json", import.meta.url), "utf8"));

for (const one of vectors) {
  test(`spans: ${one.name}`, () => assert.deepEqual(spans(one.request, one.events, one.deliveries), one.spans));
}

test("a long quiet stretch is folded, what happened in it is not", () => {
  const all: Span[] = [
    { lane: "attempt", n: 1, from: 0, to: 1000, state: "ok", label: "" },
    { lane: "webhook", n: 1, from: 1000, to: 1100, state: "error", label: "" },
    { lane: "webhook", n: 1, from: 3_600_000, to: 3_600_100, state: "ok", label: "" },
  ];
  const plain = scale(all, 0, false);
  const folded = scale(all, 0, true);
  assert.ok(plain.at(1000) < 0.001);
  assert.deepEqual(folded.folded, [[1100, 3_600_000]]);
  assert.equal(folded.at(3_600_100), 1);
  for (const place of [0, 500, 1000, 2000, 3_600_050]) assert.ok(folded.at(place) >= 0 && folded.at(place) <= 1);
});
