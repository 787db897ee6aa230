import assert from "node:assert/strict";
import { test } from "node:test";

import { at, changed, problems } from "../src/form/paths.ts";
import { Reader, beginning, optionOf, titled, type Node, type Of } from "../src/form/schema.ts";
import { parse, stringify } from "../src/json/lossless.ts";

const read = (schema: object, name = ""): Node => new Reader(parse(JSON.stringify(schema))).node(parse(JSON.stringify(schema)), name);
const member = (node: Node, name: string): Node => {
  assert.equal(node.kind, "object");
  return (node as Of<"object">).members.find((one) => one.name === name)!.node();
};

test("an optional is its own control, and may be null", () => {
  const node = read({ anyOf: [{ type: "integer", minimum: 1 }, { type: "null" }], default: null, title: "Seed" }, "seed");
  assert.equal(node.kind, "number");
  assert.ok(node.nullable);
  assert.equal(node.title, "Seed");
  assert.equal(node.initial, null);
  assert.ok((node as Of<"number">).seed);
});

test("what stands beside a reference wins", () => {
  const node = read({ $defs: { A: { type: "string", title: "A", description: "of A" } }, type: "object", properties: { a: { $ref: "#/$defs/A", description: "here" } } });
  assert.equal(member(node, "a").description, "here");
  assert.equal(member(node, "a").title, "A");
});

test("an allOf of one is that one, of several all of them", () => {
  const node = read({ $defs: { A: { properties: { x: { type: "integer" } }, required: ["x"] } }, allOf: [{ $ref: "#/$defs/A" }, { properties: { y: { type: "string" } } }], type: "object" });
  assert.equal(member(node, "x").kind, "number");
  assert.equal(member(node, "y").kind, "string");
});

test("a type that contains itself ends in JSON", () => {
  let node = read({ $defs: { T: { type: "object", properties: { next: { $ref: "#/$defs/T" }, v: { type: "integer" } } } }, $ref: "#/$defs/T" });
  let depth = 0;
  while (node.kind === "object" && depth < 20) {
    node = member(node, "next");
    depth++;
  }
  assert.equal(node.kind, "json");
  assert.ok(depth <= 7);
});

test("bounds keep all of their digits", () => {
  const schema = parse('{"type":"integer","minimum":0,"maximum":18446744073709551615}');
  const node = new Reader(schema).node(schema) as Of<"number">;
  assert.equal(node.high?.text, "18446744073709551615");
  const open = read({ type: "number", exclusiveMinimum: 0, exclusiveMaximum: 1, multipleOf: 0.05 }) as Of<"number">;
  assert.ok(open.low?.exclusive && open.high?.exclusive);
  assert.equal(open.step, "0.05");
});

test("unions open on the option of their value", () => {
  const schema = {
    oneOf: [
      { type: "object", title: "Circle", properties: { kind: { const: "circle" }, r: { type: "number" } }, required: ["kind", "r"] },
      { type: "object", title: "Box", properties: { kind: { const: "box" }, w: { type: "number" } }, required: ["kind", "w"] },
    ],
    discriminator: { propertyName: "kind" },
  };
  const node = read(schema) as Of<"union">;
  assert.deepEqual(node.options.map((one) => one.title), ["Circle", "Box"]);
  assert.equal(optionOf(node, { kind: "box" }), 1);
  const plain = read({ anyOf: [{ type: "string" }, { type: "integer" }, { type: "array", items: { type: "string" } }] }) as Of<"union">;
  assert.deepEqual([optionOf(plain, "x"), optionOf(plain, 3), optionOf(plain, ["x"]), optionOf(plain, true)], [0, 1, 2, -1]);
});

test("objects without a tag match by the members that they must have", () => {
  const node = read({ anyOf: [
    { type: "object", properties: { a: { type: "integer" } }, required: ["a"] },
    { type: "object", properties: { b: { type: "integer" } }, required: ["b"] },
  ] }) as Of<"union">;
  assert.deepEqual([optionOf(node, { a: 1 }), optionOf(node, { b: 1 })], [0, 1]);
});

test("a preset or a size", () => {
  const node = read({
    $defs: { Size: { type: "object", title: "ImageSize", properties: { width: { type: "integer" }, height: { type: "integer" } } } },
    anyOf: [{ $ref: "#/$defs/Size" }, { enum: ["square", "wide"], type: "string" }], default: "square",
  }) as Of<"union">;
  assert.equal(node.kind, "union");
  assert.deepEqual(node.options.map((one) => one.title), ["ImageSize", "Preset"]);
  assert.equal(optionOf(node, "wide"), 1);
  assert.equal(optionOf(node, { width: 1, height: 1 }), 0);
});

test("media by what the schema says, and by names that fal's apps use", () => {
  assert.equal(read({ type: "object", "x-pondage-media": "image", properties: { url: { type: "string" } } }).kind, "file");
  assert.deepEqual((read({ type: "string" }, "mask_url") as Of<"file">).family, "image");
  const many = read({ type: "array", items: { type: "string" } }, "image_urls") as Of<"array">;
  assert.equal(many.item().kind, "file");
  assert.equal(read({ type: "string" }, "callback_url").kind, "string");
});

test("what cannot be drawn says why", () => {
  for (const schema of [{}, { type: "object" }, { $ref: "#/$defs/Nowhere" }, { type: "weird" }]) {
    const node = read(schema);
    assert.equal(node.kind, "json");
    assert.ok((node as Of<"json">).reason);
  }
});

test("a form begins with what is required, and leaves the rest out", () => {
  const node = read({ type: "object", required: ["p", "n", "k"], properties: {
    p: { type: "string" }, n: { type: "object", required: ["x"], properties: { x: { type: "integer", default: 3 } } },
    k: { const: "z" }, o: { type: "integer", default: 5 },
  } });
  assert.equal(stringify(beginning(node, true)!), '{"p":"","n":{"x":3},"k":"z"}');
});

test("places are changed without touching others", () => {
  const before = parse('{"a":{"b":[1,{"c":2}]},"__proto__":1}');
  const after = changed(before, ["a", "b", 1, "c"], 3)!;
  assert.equal(stringify(after), '{"a":{"b":[1,{"c":3}]},"__proto__":1}');
  assert.equal(at(before, ["a", "b", 1, "c"]), 2);
  assert.equal(stringify(changed(before, ["a", "b", 0], undefined)!), '{"a":{"b":[{"c":2}]},"__proto__":1}');
  assert.equal(stringify(changed(undefined, ["x", 0], "v")!), '{"x":["v"]}');
});

test("each problem finds its field, also through the names of union branches", () => {
  const value = parse('{"size":{"width":0},"list":[1,"x"]}');
  const detail = parse(`[
    {"loc":["body","size","ImageSize","width"],"msg":"too small"},
    {"loc":["body","list",1],"msg":"not a number"},
    {"loc":["body","prompt"],"msg":"Field required"},
    {"loc":["body","size","literal['square']"],"msg":"Input should be 'square'"}]`);
  assert.deepEqual(problems(detail, value).map((one) => one.path), [["size", "width"], ["list", 1], ["prompt"], ["size"]]);
});

test("names become words", () => {
  assert.equal(titled("num_inference_steps"), "Num inference steps");
});
