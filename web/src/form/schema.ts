// From JSON Schema 2020-12, as Pydantic writes it, to the controls of a form. Pure: schema in, nodes out.
import { type Json, type JsonObject, NumberText, isObject, same } from "../json/lossless.ts";

export type Family = "image" | "video" | "audio" | "archive" | "file";

interface Common {
  title: string;
  description: string;
  /** Undefined: there is none. */
  initial: Json | undefined;
  examples: Json[];
  deprecated: boolean;
  /** `null` is one of its values, beside those of the control. */
  nullable: boolean;
}

export interface Member {
  name: string;
  required: boolean;
  /** Folded away under "Advanced". */
  advanced: boolean;
  node: () => Node;
}

export interface Option {
  title: string;
  node: () => Node;
}

export type Node = Common &
  (
    | { kind: "string"; format: string; multiline: boolean; least: number | null; most: number | null; pattern: string; secret: boolean }
    | { kind: "number"; integer: boolean; low: Bound | null; high: Bound | null; step: string; seed: boolean }
    | { kind: "boolean" }
    | { kind: "enum"; options: Json[] }
    | { kind: "const"; value: Json }
    | { kind: "object"; members: Member[]; extra: (() => Node) | null }
    | { kind: "array"; item: () => Node; least: number; most: number | null; unique: boolean }
    | { kind: "tuple"; items: (() => Node)[] }
    | { kind: "union"; options: Option[]; tag: { name: string; values: string[] } | null }
    | { kind: "file"; family: Family; bare: boolean; mask: boolean }
    | { kind: "json"; reason: string }
  );

export type Kind = Node["kind"];
export type Of<K extends Kind> = Extract<Node, { kind: K }>;

export interface Bound {
  /** As written, so that 2^64 - 1 stays that. */
  text: string;
  value: number;
  exclusive: boolean;
}

const DEEPEST = 6;
const ADVANCED_FROM = 5;
const MEDIA_NAME = /(^|_)(image|img|picture|photo|mask|video|audio|speech|file)_?(url|uri)s?$/i;
const FAMILIES: Record<string, Family> = {
  image: "image", img: "image", picture: "image", photo: "image", mask: "image", video: "video", audio: "audio", speech: "audio", file: "file",
};

type Bag = JsonObject;

const text = (value: Json | undefined): string => (typeof value === "string" ? value : "");
const numeric = (value: Json | undefined): number | null =>
  typeof value === "number" ? value : value instanceof NumberText ? Number(value.text) : null;
const list = (value: Json | undefined): Json[] => (Array.isArray(value) ? value : []);
const bag = (value: Json | undefined): Bag => (isObject(value) ? value : {});

/** Words of a member's name: `num_inference_steps` reads "Num inference steps". */
export function titled(name: string): string {
  const words = name.replace(/[_-]+/g, " ").trim();
  return words ? words[0]!.toUpperCase() + words.slice(1) : name;
}

export class Reader {
  private readonly root: Bag;
  constructor(root: Json) {
    this.root = bag(root);
  }

  /** The control of a schema. `path` names the references that were followed to it, `name` its member. */
  node(given: Json | undefined, name = "", path: readonly string[] = []): Node {
    const [schema, trail, lost] = this.resolved(given, path);
    const common = commonOf(schema, name);
    if (lost) return { ...common, kind: "json", reason: lost };
    const options = [...list(schema.anyOf), ...list(schema.oneOf)];
    if (options.length) return this.union(schema, options, common, name, trail);
    return this.plain(schema, common, name, trail);
  }

  /** References followed, `allOf` of several objects put together; what stands beside a reference wins. */
  private resolved(given: Json | undefined, path: readonly string[]): [Bag, readonly string[], string] {
    let schema = bag(given);
    let trail = path;
    for (let n = 0; n < 50; n++) {
      const { $ref, allOf, ...beside } = schema;
      if (typeof $ref === "string") {
        const target = this.pointed($ref);
        if (!target) return [beside, trail, `${$ref} is nowhere in the schema`];
        if (trail.filter((one) => one === $ref).length >= DEEPEST) return [beside, trail, `it contains itself, more than ${DEEPEST} levels deep`];
        trail = [...trail, $ref];
        schema = { ...target, ...(allOf === undefined ? {} : { allOf }), ...beside };
      } else if (Array.isArray(allOf)) {
        schema = merged(allOf.map((part) => this.resolved(part, trail)[0]), beside);
      } else break;
    }
    return [schema, trail, ""];
  }

  private pointed(reference: string): Bag | null {
    if (!reference.startsWith("#/")) return reference === "#" ? this.root : null;
    let at: Json | undefined = this.root;
    for (const part of reference.slice(2).split("/")) {
      const key = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
      at = Array.isArray(at) ? at[Number(key)] : isObject(at) && Object.hasOwn(at, key) ? at[key] : undefined;
    }
    return isObject(at) ? at : null;
  }

  private union(schema: Bag, options: Json[], common: Common, name: string, trail: readonly string[]): Node {
    const alive = options.filter((option) => bag(option).type !== "null");
    const nullable = common.nullable || alive.length < options.length;
    const shared = { ...common, nullable };
    const { anyOf: _a, oneOf: _o, discriminator: _d, ...beside } = schema;
    if (alive.length === 1) {
      const inner = this.node({ ...bag(alive[0]), ...withoutType(beside) }, name, trail);
      return { ...inner, ...kept(shared, inner) };
    }
    const constants = alive.map((option) => this.resolved(option, trail)[0]);
    if (constants.every((option) => "const" in option || Array.isArray(option.enum))) {
      const values = constants.flatMap((option) => (Array.isArray(option.enum) ? option.enum : [option.const ?? null]));
      return { ...shared, kind: "enum", options: values };
    }
    const file = alive.findIndex((option) => mediaOf(this.resolved(option, trail)[0]) !== null);
    if (file >= 0 && alive.length === 2 && alive.some((option) => bag(option).type === "string")) {
      const inner = this.node(alive[file], name, trail); // a file by its object or its address: one control does both
      return { ...inner, ...kept(shared, inner) };
    }
    const tag = text(bag(schema.discriminator).propertyName) || commonTag(constants);
    return {
      ...shared, kind: "union",
      options: alive.map((option, n) => ({
        title: optionTitle(constants[n] ?? {}, tag, n),
        node: () => this.node(option, "", trail),
      })),
      tag: tag ? { name: tag, values: constants.map((option) => text(bag(bag(option.properties)[tag]).const)) } : null,
    };
  }

  private plain(schema: Bag, common: Common, name: string, trail: readonly string[]): Node {
    if ("const" in schema) return { ...common, kind: "const", value: schema.const ?? null };
    if (Array.isArray(schema.enum)) {
      const values = schema.enum.filter((value) => value !== null);
      const nullable = common.nullable || values.length < schema.enum.length;
      if (values.length === 1 && !nullable) return { ...common, kind: "const", value: values[0] ?? null };
      return { ...common, nullable, kind: "enum", options: values };
    }
    const family = mediaOf(schema);
    if (family) return { ...common, kind: "file", family, bare: schema.type === "string", mask: bag(schema["x-pondage"]).mask === true };
    const types = Array.isArray(schema.type) ? schema.type : [schema.type];
    const nullable = common.nullable || types.includes("null");
    const alive = types.filter((type) => type !== "null" && type !== undefined);
    const shared = { ...common, nullable };
    if (alive.length > 1) {
      const options = alive.map((type) => ({ title: String(type), node: () => this.node({ ...schema, type: type ?? null }, "", trail) }));
      return { ...shared, kind: "union", options, tag: null };
    }
    const type = alive[0] ?? (schema.properties ? "object" : schema.items || schema.prefixItems ? "array" : "");
    switch (type) {
      case "string": return this.string(schema, shared, name);
      case "integer":
      case "number": return this.number(schema, shared, name, type === "integer");
      case "boolean": return { ...shared, kind: "boolean" };
      case "object": return this.object(schema, shared, trail);
      case "array": return this.array(schema, shared, name, trail);
      case "null": return { ...shared, kind: "const", value: null };
      default: return { ...shared, kind: "json", reason: type ? `its type is ${JSON.stringify(type)}` : "its schema allows anything" };
    }
  }

  private string(schema: Bag, common: Common, name: string): Node {
    const own = bag(schema["x-pondage"]);
    const most = numeric(schema.maxLength);
    const media = MEDIA_NAME.exec(name);
    if (media && !schema.pattern) {
      const family = FAMILIES[media[2]!.toLowerCase()] ?? "file";
      return { ...common, kind: "file", family, bare: true, mask: false };
    }
    const secret = own.secret === true || schema.writeOnly === true || schema.format === "password";
    return {
      ...common, kind: "string", format: text(schema.format), secret,
      multiline: !secret && (own.multiline === true || (most ?? 0) > 200 || (/prompt|text|description|script/i.test(name) && (most ?? 201) > 60 && !schema.format)),
      least: numeric(schema.minLength), most, pattern: text(schema.pattern),
    };
  }

  private number(schema: Bag, common: Common, name: string, integer: boolean): Node {
    const bound = (plain: string, exclusive: string): Bound | null => {
      const key = schema[exclusive] !== undefined && typeof schema[exclusive] !== "boolean" ? exclusive : plain;
      const value = numeric(schema[key]);
      return value === null ? null : { text: String(schema[key]), value, exclusive: key === exclusive };
    };
    return {
      ...common, kind: "number", integer, seed: integer && /(^|_)seed$/i.test(name),
      low: bound("minimum", "exclusiveMinimum"), high: bound("maximum", "exclusiveMaximum"),
      step: schema.multipleOf === undefined ? (integer ? "1" : "any") : String(schema.multipleOf),
    };
  }

  private object(schema: Bag, common: Common, trail: readonly string[]): Node {
    const properties = bag(schema.properties);
    const required = new Set(list(schema.required));
    const order = list(schema["x-fal-order-properties"] ?? schema["x-fal-order"] ?? schema["x-order"]).map(String);
    const names = [...order.filter((name) => Object.hasOwn(properties, name)), ...Object.keys(properties).filter((name) => !order.includes(name))];
    const optional = names.filter((name) => !required.has(name));
    const folds = !order.length && names.length > 8 && optional.length > ADVANCED_FROM;
    const firsts = new Set(optional.slice(0, Math.max(0, 8 - required.size)));
    const members = names.map((name) => ({
      name, required: required.has(name), advanced: folds && !required.has(name) && !firsts.has(name),
      node: () => this.node(properties[name], name, trail),
    }));
    const more = schema.additionalProperties;
    const extra = isObject(more) ? () => this.node(more, "", trail) : more === true && !names.length ? () => this.node({}, "", trail) : null;
    if (!members.length && !extra) return { ...common, kind: "json", reason: "its members are not described" };
    return { ...common, kind: "object", members, extra };
  }

  private array(schema: Bag, common: Common, name: string, trail: readonly string[]): Node {
    if (Array.isArray(schema.prefixItems)) {
      return { ...common, kind: "tuple", items: schema.prefixItems.map((item) => () => this.node(item, "", trail)) };
    }
    const one = name.replace(/(url|uri)s$/i, "$1");
    return {
      ...common, kind: "array", item: () => this.node(bag(schema.items), one === name ? "" : one, trail),
      least: numeric(schema.minItems) ?? 0, most: numeric(schema.maxItems), unique: schema.uniqueItems === true,
    };
  }
}

function commonOf(schema: Bag, name: string): Common {
  const examples = list(schema.examples).length ? list(schema.examples) : schema.example === undefined ? [] : [schema.example];
  return {
    title: text(schema.title) || titled(name), description: text(schema.description), initial: schema.default,
    examples, deprecated: schema.deprecated === true, nullable: schema.nullable === true,
  };
}

/** What a union or a reference says of itself wins over what its one option says. */
function kept(outer: Common, inner: Common): Common {
  return {
    title: outer.title || inner.title, description: outer.description || inner.description, initial: outer.initial ?? inner.initial,
    examples: outer.examples.length ? outer.examples : inner.examples, deprecated: outer.deprecated || inner.deprecated,
    nullable: outer.nullable || inner.nullable,
  };
}

function withoutType(schema: Bag): Bag {
  const { type: _, ...rest } = schema;
  return rest;
}

function merged(parts: Bag[], beside: Bag): Bag {
  const whole: Bag = {};
  for (const part of [...parts, beside]) {
    const properties = { ...bag(whole.properties), ...bag(part.properties) };
    const required = [...new Set([...list(whole.required), ...list(part.required)])];
    Object.assign(whole, part);
    if (Object.keys(properties).length) whole.properties = properties;
    if (required.length) whole.required = required;
  }
  return whole;
}

function mediaOf(schema: Bag): Family | null {
  const said = text(schema["x-pondage-media"]) || text(bag(schema["x-pondage"]).media);
  return ["image", "video", "audio", "archive", "file"].includes(said) ? (said as Family) : null;
}

/** A member that every option fixes to another constant: as good as a discriminator. */
function commonTag(options: Bag[]): string {
  const first = bag(options[0]?.properties);
  return Object.keys(first).find((name) => {
    const values = options.map((option) => bag(bag(option.properties)[name]).const);
    return values.every((value) => typeof value === "string") && new Set(values).size === values.length;
  }) ?? "";
}

function optionTitle(option: Bag, tag: string, n: number): string {
  const constant = tag ? bag(bag(option.properties)[tag]).const : undefined;
  if (typeof constant === "string") return titled(constant);
  if (Array.isArray(option.enum)) return "Preset";
  return text(option.title) || (typeof option.type === "string" ? titled(option.type) : `Option ${n + 1}`);
}

/** Which option of a union a value is of: by tag, by type, by the members that an object must have. -1: none. */
export function optionOf(node: Of<"union">, value: Json | undefined): number {
  if (value === undefined) return -1;
  if (node.tag && isObject(value)) {
    const at = node.tag.values.indexOf(String(value[node.tag.name] ?? ""));
    if (at >= 0) return at;
  }
  let best = -1;
  let most = -1;
  node.options.forEach((option, n) => {
    const fit = fits(option.node(), value);
    if (fit > most) [best, most] = [n, fit];
  });
  return most < 0 ? -1 : best;
}

/** How well a value fits a node; below 0 not at all. */
function fits(node: Node, value: Json): number {
  if (value === null) return node.nullable ? 1 : -1;
  switch (node.kind) {
    case "const": return same(node.value, value) ? 5 : -1;
    case "enum": return node.options.some((option) => same(option, value)) ? 4 : typeof value === typeof node.options[0] ? 0 : -1;
    case "string": return typeof value === "string" ? 2 : -1;
    case "boolean": return typeof value === "boolean" ? 2 : -1;
    case "number": return typeof value === "number" || value instanceof NumberText ? (node.integer && String(value).includes(".") ? -1 : 2 + Number(node.integer)) : -1;
    case "array":
    case "tuple": return Array.isArray(value) ? 2 : -1;
    case "file": return typeof value === "string" ? 1 : isObject(value) && "url" in value ? 3 : -1;
    case "object": {
      if (!isObject(value)) return -1;
      const missing = node.members.filter((member) => member.required && !(member.name in value)).length;
      const known = node.members.filter((member) => member.name in value).length;
      return missing ? -1 : 1 + known / (1 + Object.keys(value).length);
    }
    case "union": return optionOf(node, value) >= 0 ? 1 : -1;
    case "json": return 0;
  }
}

/** The value that a control begins with: the default, or the least that makes sense. Undefined: it is left out. */
export function beginning(node: Node, required: boolean): Json | undefined {
  if (node.initial !== undefined) return required ? node.initial : undefined;
  if (!required) return undefined;
  switch (node.kind) {
    case "const": return node.value;
    case "object": {
      const made: JsonObject = {};
      for (const member of node.members) {
        const value = member.required ? beginning(member.node(), true) : undefined;
        if (value !== undefined) made[member.name] = value;
      }
      return made;
    }
    case "array": return Array.from({ length: node.least }, () => beginning(node.item(), true) ?? null);
    case "tuple": return node.items.map((item) => beginning(item(), true) ?? null);
    case "union": return node.nullable ? null : node.options[0] ? beginning(node.options[0].node(), true) : undefined;
    case "string": return "";
    default: return node.nullable ? null : undefined;
  }
}
