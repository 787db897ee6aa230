import assert from "node:assert/strict";
import { test } from "node:test";

import { KEPT, ListWindow, ROW } from "../src/list/window.ts";

const ALL = 5000;
const PAGE = 50;
const row = (n: number) => ({ id: String(99_999 - n) });

function make() {
  const asked: (string | null)[] = [];
  const window = new ListWindow<{ id: string }>((cursor) => {
    asked.push(cursor);
    const from = Number(cursor ?? 0);
    const items = Array.from({ length: Math.min(PAGE, ALL - from) }, (_, n) => row(from + n));
    return Promise.resolve({ items, next_cursor: from + PAGE < ALL ? String(from + PAGE) : null });
  });
  return { window, asked };
}

test("a long way down few rows are held, and the way back loads again", async () => {
  const { window, asked } = make();
  await window.seen(0, 800);
  for (let top = 0; top < 2000 * ROW; top += 400) await window.seen(top, 800);
  assert.ok(window.size >= 2000);
  assert.ok(window.pieces.value.filter((piece) => piece.items).length <= KEPT);
  const there = window.drawn(1900 * ROW, 800);
  assert.ok(there.rows.length <= 60);
  assert.equal(there.rows[10]?.id, row(there.first + 10).id);
  const before = asked.length;
  await window.seen(0, 800);
  assert.equal(window.drawn(0, 800).rows[0]?.id, row(0).id);
  assert.ok(asked.length > before);
});

test("the end is the end", async () => {
  const { window } = make();
  for (let top = 0; top < ALL * ROW; top += 700) await window.seen(top, 800);
  assert.ok(window.done);
  assert.equal(window.size, ALL);
});

test("rows change in place, and new ones are counted", async () => {
  const { window } = make();
  await window.seen(0, 800);
  const changed = window.change([{ id: "99999", state: "done" } as { id: string }, { id: "99999a" }]);
  assert.equal(changed, 1);
  assert.deepEqual(window.drawn(0, 800).rows[0], { id: "99999", state: "done" });
});
