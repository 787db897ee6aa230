// JSON without loss: a number that JavaScript cannot hold stays the text that it was (seeds have 20 digits).

/** A number that is kept as its text, because as a JavaScript number it would become another. */
export class NumberText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  toString(): string {
    return this.text;
  }
  /** For `JSON.stringify`, where loss is accepted: a label, a size. */
  toJSON(): number {
    return Number(this.text);
  }
}

export type Json = null | boolean | number | string | NumberText | Json[] | JsonObject;
export interface JsonObject {
  [name: string]: Json;
}

/** What is wrong with a text, and where: `line` and `column` count from 1. */
export class JsonError extends Error {
  readonly at: number;
  readonly line: number;
  readonly column: number;
  constructor(message: string, text: string, at: number) {
    const before = text.slice(0, at);
    const line = before.split("\n").length;
    const column = at - before.lastIndexOf("\n");
    super(`line ${line}, column ${column}: ${message}`);
    this.at = at;
    this.line = line;
    this.column = column;
  }
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SPACE = /[ \t\n\r]*/y;
const DEPTH = 500;

/** Whether a text is a JSON number. */
export const isNumberText = (text: string): boolean => {
  NUMBER.lastIndex = 0;
  return NUMBER.test(text) && NUMBER.lastIndex === text.length;
};

/** A JSON number as what holds it without loss. */
export function numberOf(text: string): number | NumberText {
  const value = Number(text);
  return String(value) === text ? value : new NumberText(text);
}

export function parse(text: string): Json {
  let at = 0;
  const fail = (message: string): never => {
    throw new JsonError(message, text, at);
  };
  const space = () => {
    SPACE.lastIndex = at;
    SPACE.test(text);
    at = SPACE.lastIndex;
  };
  const token = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    if (!pattern.test(text)) return null;
    const found = text.slice(at, pattern.lastIndex);
    at = pattern.lastIndex;
    return found;
  };
  const word = <T extends Json>(name: string, value: T): T => {
    if (!text.startsWith(name, at)) return fail(found("a value"));
    at += name.length;
    return value;
  };
  const found = (wanted: string) => (at < text.length ? `${wanted} was expected, not ${text[at]}` : `${wanted} is missing`);
  const string = (): string => {
    const raw = token(STRING);
    return raw === null ? fail(text[at] === '"' ? "the string does not end, or has a wrong character" : found("a string")) : (JSON.parse(raw) as string);
  };

  function value(depth: number): Json {
    if (depth > DEPTH) fail(`deeper than ${DEPTH} levels`);
    space();
    const first = text[at];
    if (first === "{") return object(depth);
    if (first === "[") return array(depth);
    if (first === '"') return string();
    if (first === "t") return word("true", true);
    if (first === "f") return word("false", false);
    if (first === "n") return word("null", null);
    const number = token(NUMBER);
    return number === null ? fail(found("a value")) : numberOf(number);
  }

  function object(depth: number): JsonObject {
    const made: JsonObject = {};
    at++;
    space();
    if (text[at] === "}") return at++, made;
    for (;;) {
      space();
      const name = string();
      space();
      if (text[at] !== ":") fail(found("a colon"));
      at++;
      put(made, name, value(depth + 1));
      space();
      if (text[at] === "}") return at++, made;
      if (text[at] !== ",") fail(found("a comma or }"));
      at++;
    }
  }

  function array(depth: number): Json[] {
    const made: Json[] = [];
    at++;
    space();
    if (text[at] === "]") return at++, made;
    for (;;) {
      made.push(value(depth + 1));
      space();
      if (text[at] === "]") return at++, made;
      if (text[at] !== ",") fail(found("a comma or ]"));
      at++;
    }
  }

  const whole = value(0);
  space();
  if (at < text.length) fail(`nothing was expected after the value, not ${text[at]}`);
  return whole;
}

/** Set a member, also one that is named `__proto__`. */
export function put(object: JsonObject, name: string, value: Json): void {
  if (name === "__proto__") Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  else object[name] = value;
}

export function stringify(value: Json, indent = 0): string {
  const write = (node: Json, inner: string): string => {
    if (node instanceof NumberText) return node.text;
    if (node === null || typeof node !== "object") return JSON.stringify(node);
    const next = inner + " ".repeat(indent);
    const list = Array.isArray(node);
    const parts = list
      ? node.map((item) => write(item, next))
      : Object.keys(node).map((name) => `${JSON.stringify(name)}:${indent ? " " : ""}${write(node[name] ?? null, next)}`);
    const [open, close] = list ? "[]" : "{}";
    if (!parts.length) return `${open}${close}`;
    return indent ? `${open}\n${next}${parts.join(`,\n${next}`)}\n${inner}${close}` : `${open}${parts.join(",")}${close}`;
  };
  return write(value, "");
}

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof NumberText);

/** Whether two values say the same; the order of members does not matter. */
export function same(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (a instanceof NumberText || b instanceof NumberText) return String(a) === String(b) && typeof a !== "string" && typeof b !== "string";
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, n) => same(item, b[n]));
  if (!isObject(a) || !isObject(b)) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && same(a[name], b[name]));
}
