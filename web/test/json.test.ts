import assert from "node:assert/strict";
import { test } from "node:test";

import { JsonError, NumberText, isNumberText, parse, same, stringify } from "../src/json/lossless.ts";

test("what JavaScript cannot hold stays as it was written", () => {
  const text = '{"seed":12345678901234567890,"small":1e-7,"one":1.0,"neg":-0,"list":[1,2.50]}';
  assert.equal(stringify(parse(text)), text);
  assert.ok((parse(text) as { seed: unknown }).seed instanceof NumberText);
});

test("plain numbers are numbers", () => {
  assert.deepEqual(parse("[0,1,-2,3.25]"), [0, 1, -2, 3.25]);
});

test("hostile names are members like others", () => {
  const value = parse('{"__proto__":{"polluted":true},"constructor":1}');
  assert.equal(stringify(value), '{"__proto__":{"polluted":true},"constructor":1}');
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
});

for (const [text, says] of [
  ["{\"a\":1,}", "line 1, column 8"],
  ["[1\n2]", "line 2, column 1"],
  ["\"\u0001\"", "string"],
  ["nul", "a value was expected"],
  ["01", "nothing was expected"],
  ["", "a value is missing"],
  ["[".repeat(600), "deeper than"],
] as const) {
  test(`${JSON.stringify(text).slice(0, 30)} is refused with its place`, () => {
    assert.throws(() => parse(text), (error: unknown) => error instanceof JsonError && error.message.includes(says));
  });
}

test("an indented text reads back as the same", () => {
  const value = parse('{"a":[],"b":{},"c":[1,{"d":"x\\ny"}]}');
  assert.ok(same(parse(stringify(value, 2)), value));
});

test("sameness sees through the order of members, not through types", () => {
  assert.ok(same(parse('{"a":1,"b":2}'), parse('{"b":2,"a":1}')));
  assert.ok(!same(parse("1"), parse('"1"')));
  assert.ok(!same(parse("123456789012345678901"), parse("123456789012345678902")));
  assert.ok(!same(parse("null"), parse("{}")));
});

test("number texts", () => {
  for (const good of ["0", "-1", "1.50", "1e400", "12345678901234567890"]) assert.ok(isNumberText(good), good);
  for (const bad of ["", "01", "1.", ".5", "+1", "1 ", "0x1", "NaN", "Infinity"]) assert.ok(!isNumberText(bad), bad);
});
