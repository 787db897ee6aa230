// What was typed stays when the tab is closed: per endpoint, in this browser, without secrets and without large files.
import type { Of } from "../form/schema.ts";
import type { Node } from "../form/schema.ts";
import { type Json, isObject, parse, put, stringify } from "../json/lossless.ts";
import { remember, remembered } from "../ui/store.ts";

const MOST = 200_000;

export function keepDraft(endpoint: string, node: Node, value: Json): void {
  const text = stringify(withoutSecrets(node, value));
  remember(`draft.${endpoint}`, text.length > MOST ? null : text);
}

export function draftOf(endpoint: string): Json | undefined {
  const text = remembered(`draft.${endpoint}`);
  try {
    return text ? parse(text) : undefined;
  } catch {
    return undefined; // of an older page
  }
}

export const dropDraft = (endpoint: string) => remember(`draft.${endpoint}`, null);

/** The value without what the schema calls secret, at any depth that the form draws. */
export function withoutSecrets(node: Node, value: Json): Json {
  if (node.kind === "object" && isObject(value)) {
    const made = {};
    const members = new Map((node as Of<"object">).members.map((member) => [member.name, member]));
    for (const name of Object.keys(value)) {
      const inner = members.get(name)?.node();
      if (inner?.kind === "string" && inner.secret) continue;
      put(made, name, inner ? withoutSecrets(inner, value[name] ?? null) : (value[name] ?? null));
    }
    return made;
  }
  if (node.kind === "array" && Array.isArray(value)) return value.map((item) => withoutSecrets(node.item(), item));
  return value;
}
