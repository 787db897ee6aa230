// JSON to look at: folded, at most 200 children a node, texts cut; and a table of differences.
import { useSignal } from "@preact/signals";

import { type Json, NumberText, isObject, same, stringify } from "./lossless.ts";

const CHILDREN = 200;
const TEXT = 2000;

export function Tree({ value, label = "JSON" }: { value: Json; label?: string }) {
  return (
    <div class="tree" role="region" aria-label={label} tabIndex={0}>
      <Node value={value} name="" depth={0} />
    </div>
  );
}

function Node({ value, name, depth }: { value: Json; name: string; depth: number }) {
  const all = useSignal(false);
  const before = name === "" ? null : <><span class="name">{name}</span>: </>;
  if (value === null || typeof value !== "object" || value instanceof NumberText) return <div class="leaf">{before}<Leaf value={value} /></div>;
  const list = Array.isArray(value);
  const entries: [string, Json][] = list ? value.map((item, n) => [String(n), item]) : Object.keys(value).map((one) => [one, (value as Record<string, Json>)[one] ?? null]);
  const size = `${list ? "[" : "{"}${entries.length}${list ? "]" : "}"}`;
  if (!entries.length) return <div class="leaf">{before}{list ? "[]" : "{}"}</div>;
  const shown = all.value ? entries : entries.slice(0, CHILDREN);
  return (
    <details open={depth < 3 && entries.length <= 50}>
      <summary>{before}<span class="dim">{size}</span></summary>
      {shown.map(([key, item]) => <Node key={key} value={item} name={key} depth={depth + 1} />)}
      {shown.length < entries.length && <button type="button" onClick={() => (all.value = true)}>{entries.length - shown.length} more</button>}
    </details>
  );
}

function Leaf({ value }: { value: Json }) {
  if (typeof value === "string") {
    const cut = value.length > TEXT;
    return <span class="text">{JSON.stringify(cut ? value.slice(0, TEXT) : value)}{cut && <span class="dim"> … {value.length} characters</span>}</span>;
  }
  return <span class="scalar">{stringify(value)}</span>;
}

export interface Difference {
  place: string;
  before: Json | undefined;
  after: Json | undefined;
}

/** Where two values differ, leaf by leaf. */
export function differences(before: Json | undefined, after: Json | undefined, place = ""): Difference[] {
  if (same(before, after)) return [];
  if (isObject(before) && isObject(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return names.flatMap((name) => differences(own(before, name), own(after, name), place ? `${place}.${name}` : name));
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    return Array.from({ length: Math.max(before.length, after.length) }, (_, n) => differences(before[n], after[n], `${place}[${n}]`)).flat();
  }
  return [{ place: place || "(whole)", before, after }];
}

const own = (value: Record<string, Json>, name: string): Json | undefined => (Object.hasOwn(value, name) ? value[name] : undefined);

export function Differences({ before, after, names }: { before: Json; after: Json; names: [string, string] }) {
  const found = differences(before, after);
  if (!found.length) return <p class="dim">The inputs are the same.</p>;
  const text = (value: Json | undefined) => (value === undefined ? <span class="dim">left out</span> : <code>{cut(stringify(value))}</code>);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Differences">
      <table>
        <thead><tr><th scope="col">Where</th><th scope="col">{names[0]}</th><th scope="col">{names[1]}</th></tr></thead>
        <tbody>{found.slice(0, 200).map((one) => <tr key={one.place}><th scope="row">{one.place}</th><td>{text(one.before)}</td><td>{text(one.after)}</td></tr>)}</tbody>
      </table>
    </div>
  );
}

const cut = (text: string): string => (text.length > 300 ? `${text.slice(0, 300)}…` : text);
