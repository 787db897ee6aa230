// Controls that hold others: objects, lists, tuples, unions, and rows of free names.
import { useSignal } from "@preact/signals";

import { type Json, isObject, put } from "../json/lossless.ts";
import { Icon } from "../ui/icons.tsx";
import { type ControlProps, Field, useForm } from "./field.tsx";
import { FileList } from "./file.tsx";
import { type Path, key } from "./paths.ts";
import { type Of, beginning, optionOf } from "./schema.ts";

export function ObjectControl({ node, path }: ControlProps<Of<"object">>) {
  return (
    <div class="members">
      {node.members.map((member) => (
        <Field key={member.name} node={member.node()} path={[...path, member.name]} required={member.required} />
      ))}
      <Ratio node={node} path={path} />
      {node.extra && <DictRows node={node} path={path} />}
    </div>
  );
}

/** Width and height as a shape. */
function Ratio({ node, path }: { node: Of<"object">; path: Path }) {
  const form = useForm();
  if (node.members.length !== 2 || !["width", "height"].every((name) => node.members.some((member) => member.name === name))) return null;
  const [width, height] = ["width", "height"].map((name) => Number(form.at([...path, name]) ?? 0));
  if (!width || !height || !(width > 0) || !(height > 0)) return null;
  const scale = 40 / Math.max(width, height);
  return (
    <svg class="ratio" width="44" height="44" viewBox="-2 -2 44 44" role="img" aria-label={`${width} by ${height}`}>
      <rect width={width * scale} height={height * scale} />
    </svg>
  );
}

/** Members that the schema does not name: a name and a value a row. */
export function DictRows({ node, path }: { node: Of<"object">; path: Path }) {
  const form = useForm();
  const whole = form.at(path);
  const own = new Set(node.members.map((member) => member.name));
  const names = isObject(whole) ? Object.keys(whole).filter((name) => !own.has(name)) : [];
  const inner = node.extra?.();
  if (!inner) return null;
  const rename = (from: string, to: string) => {
    if (!isObject(whole) || to === from || Object.hasOwn(whole, to)) return;
    const made = {};
    for (const name of Object.keys(whole)) put(made, name === from ? to : name, whole[name] ?? null);
    form.set(path, made);
  };
  const free = () => {
    let n = names.length + 1;
    while (names.includes(`key${n}`)) n++;
    return `key${n}`;
  };
  return (
    <div class="dict">
      {names.map((name, n) => (
        <div class="dict-row" key={n}>
          <input aria-label={`Name ${n + 1}`} value={name} onChange={(event) => rename(name, event.currentTarget.value)} />
          <Field node={inner} path={[...path, name]} required bare={`Value of ${name}`} />
          <button type="button" class="quiet" aria-label={`Remove ${name}`} onClick={() => form.set([...path, name], undefined)}><Icon name="close" /></button>
        </div>
      ))}
      <button type="button" onClick={() => form.set([...path, free()], beginning(inner, true) ?? "")}><Icon name="plus" /> Add an entry</button>
    </div>
  );
}

export function ArrayControl(props: ControlProps<Of<"array">>) {
  const { node, path, value, set, id } = props;
  const form = useForm();
  const held = useSignal(-1);
  const item = node.item();
  if (item.kind === "file") return <FileList {...props} item={item} />;
  const items = Array.isArray(value) ? value : [];
  const full = node.most !== null && items.length >= node.most;
  const move = (from: number, to: number) => {
    if (to < 0 || to >= items.length || from === to) return;
    const next = [...items];
    next.splice(to, 0, ...next.splice(from, 1));
    set(next);
  };
  const one = node.title.replace(/s$/, "") || "item";
  const left = value === undefined && Array.isArray(node.initial) && node.initial.length > 0;
  return (
    <div class="list" id={id} tabIndex={-1}>
      {left && <p class="dim">Left out: the default has {(node.initial as Json[]).length}. <button type="button" onClick={() => set(node.initial)}>Change it</button></p>}
      <ol>
        {items.map((_, n) => (
          <li
            key={n} class={held.value === n ? "held" : undefined} onDragOver={(event) => held.value >= 0 && event.preventDefault()}
            onDrop={(event) => {
              if (held.value < 0) return;
              event.preventDefault();
              event.stopPropagation();
              move(held.value, n);
              held.value = -1;
            }}
          >
            <span class="handle" draggable aria-hidden="true" onDragStart={() => (held.value = n)} onDragEnd={() => (held.value = -1)}>⠿</span>
            <Field node={item} path={[...path, n]} required bare={`${one} ${n + 1}`} />
            <span class="tools">
              <button type="button" class="quiet" disabled={n === 0} aria-label={`Move ${one} ${n + 1} up`} onClick={() => move(n, n - 1)}><Icon name="up" /></button>
              <button type="button" class="quiet" disabled={n === items.length - 1} aria-label={`Move ${one} ${n + 1} down`} onClick={() => move(n, n + 1)}><Icon name="down" /></button>
              <button type="button" class="quiet" aria-label={`Remove ${one} ${n + 1}`} onClick={() => form.set([...path, n], undefined)}><Icon name="close" /></button>
            </span>
          </li>
        ))}
      </ol>
      <button type="button" disabled={full} onClick={() => set([...items, beginning(item, true) ?? null])}><Icon name="plus" /> Add {one.toLowerCase()}</button>
      {full && <span class="dim"> at most {node.most}</span>}
    </div>
  );
}

export function TupleControl({ node, path }: ControlProps<Of<"tuple">>) {
  return (
    <div class="tuple">
      {node.items.map((item, n) => <Field key={n} node={item()} path={[...path, n]} required bare={item().title || `${node.title} ${n + 1}`} />)}
    </div>
  );
}

/** A choice of kinds; what was put into one waits there while another is tried. */
export function UnionControl({ node, path, id, value, set, required }: ControlProps<Of<"union">>) {
  const form = useForm();
  const chosen = optionOf(node, value === undefined ? node.initial : value);
  const take = (n: number) => {
    if (n === chosen && value !== undefined) return;
    if (chosen >= 0 && value !== undefined) form.drafts.set(`${key(path)}#${chosen}`, value);
    const option = node.options[n];
    if (!option) return;
    const inner = option.node();
    const draft = form.drafts.get(`${key(path)}#${n}`);
    const fresh = beginning({ ...inner, nullable: false }, true);
    set(draft ?? fresh ?? (inner.kind === "enum" ? inner.options[0] : inner.kind === "number" ? 0 : inner.kind === "boolean" ? false : ""));
  };
  const inner = chosen >= 0 ? node.options[chosen]?.node() : undefined;
  return (
    <div class="union">
      <div class="segments" role="radiogroup" aria-label={`Kind of ${node.title}`}>
        {node.options.map((option, n) => (
          <label key={n} class={n === chosen ? "chosen" : undefined}>
            <input type="radio" name={`${id}-kind`} checked={n === chosen} onChange={() => take(n)} /> {option.title}
          </label>
        ))}
      </div>
      {inner && <Field key={chosen} node={value === undefined ? { ...inner, initial: node.initial } : inner} path={path} required={required || value !== undefined} bare={node.options[chosen]?.title ?? node.title} within />}
      {chosen < 0 && value !== undefined && <p class="hint">What is there fits none of these; see JSON.</p>}
    </div>
  );
}

