// One field: its label, its help, its errors, and the control that fits its kind.
import { createContext, type ComponentChildren } from "preact";
import { useContext } from "preact/hooks";

import { type Json, NumberText, isObject, stringify } from "../json/lossless.ts";
import { Icon } from "../ui/icons.tsx";
import { ArrayControl, DictRows, ObjectControl, TupleControl, UnionControl } from "./composite.tsx";
import { BooleanControl, EnumControl, JsonControl, NumberControl, StringControl } from "./controls.tsx";
import { FileControl } from "./file.tsx";
import { type Path, key } from "./paths.ts";
import { type Node, type Of, beginning } from "./schema.ts";
import type { FormState } from "./state.ts";

export const Form = createContext<FormState>(null as unknown as FormState);
export const useForm = (): FormState => useContext(Form);

export interface FieldProps {
  node: Node;
  path: Path;
  required: boolean;
  /** A label of its own is there already: an item of a list, a cell. */
  bare?: string;
  /** The chosen branch of a union, at the union's own place: the union has said the rest. */
  within?: boolean;
}

export interface ControlProps<N extends Node = Node> {
  node: N;
  path: Path;
  id: string;
  value: Json | undefined;
  set: (value: Json | undefined) => void;
  /** What a labelled control says of itself. */
  aria: Record<string, string | boolean | undefined>;
  required: boolean;
}

const GROUPS = new Set<Node["kind"]>(["object", "array", "tuple", "union"]);

export const fieldId = (path: Path): string => `f-${key(path) || "root"}`;

export function Field({ node, path, required, bare, within }: FieldProps) {
  const form = useForm();
  const value = form.at(path);
  if (node.kind === "const" && !node.nullable) return null;
  const id = fieldId(path);
  const errors = within ? [] : (form.byPlace.value.get(key(path)) ?? []);
  const set = (next: Json | undefined) => form.set(path, next);
  const group = GROUPS.has(node.kind) || (node.kind === "enum" && node.options.length <= 5) || node.kind === "file" || (node.kind === "boolean" && required && node.initial === undefined);
  const described = [node.description && `${id}-help`, errors.length && `${id}-error`].filter(Boolean).join(" ") || undefined;
  const aria = { "aria-describedby": described, "aria-invalid": errors.length > 0 || undefined, "aria-required": required || undefined, ...(bare && !group ? { "aria-label": bare } : {}) };
  const label = bare ?? node.title;
  const absent = value === undefined && !required && (node.kind === "object" || node.kind === "tuple" || (node.kind === "union" && node.initial === undefined));
  const body = (
    <>
      {node.description && !bare && <p class="help" id={`${id}-help`}>{node.description}</p>}
      {value === null && node.nullable ? (
        <p class="row"><code>null</code> is sent. <button type="button" id={id} aria-label={`Set a value for ${label}`} onClick={() => set(beginning(withoutNull(node), true) ?? (required ? emptyOf(node) : undefined))}>Set a value</button></p>
      ) : absent ? (
        <p class="row">
          <span class="dim">{node.initial === undefined ? "Left out" : `Left out: the default is ${short(node.initial)}`}</span>
          <button type="button" id={id} onClick={() => set(node.initial ?? beginning(withoutNull(node), true) ?? emptyOf(node))}><Icon name="plus" /> Add {label || "it"}</button>
        </p>
      ) : (
        <Control node={node} path={path} id={id} value={value} set={set} aria={aria} required={required} />
      )}
      <Examples node={node} set={set} />
      {errors.length > 0 && <p class="error" id={`${id}-error`}><Icon name="warn" /> {errors.join("; ")}</p>}
    </>
  );
  const head = within ? null : <Tools node={node} value={value} required={required} set={set} label={label} />;
  const mark = required ? <span class="required" aria-hidden="true"> *</span> : null;
  const badge = node.deprecated ? <span class="chip">deprecated</span> : null;
  if (bare) return <div class="field bare" role={group ? "group" : undefined} aria-label={group ? bare : undefined}>{head}{body}</div>;
  return group ? (
    <fieldset class={`field is-${node.kind}`} aria-describedby={described}>
      <legend>{label}{mark}{badge}</legend>
      {head}
      {body}
    </fieldset>
  ) : (
    <div class={`field is-${node.kind}`}>
      <div class="label"><label for={id}>{label}{mark}</label>{badge}{head}</div>
      {body}
    </div>
  );
}

/** Back to the default, and `null`, where there are such. */
function Tools({ node, value, required, set, label }: { node: Node; value: Json | undefined; required: boolean; set: (value: Json | undefined) => void; label: string }) {
  const tools: ComponentChildren[] = [];
  if (value !== undefined && !required) tools.push(<button type="button" class="quiet tool" key="reset" aria-label={`Reset ${label}`} title="Leave it out: the default holds" onClick={() => set(undefined)}>Reset</button>);
  if (node.nullable && value !== null) tools.push(<button type="button" class="quiet tool" key="null" aria-label={`null for ${label}`} title="Send null" onClick={() => set(null)}>null</button>);
  return tools.length ? <span class="tools">{tools}</span> : null;
}

function Examples({ node, set }: { node: Node; set: (value: Json) => void }) {
  if (!node.examples.length || GROUPS.has(node.kind)) return null;
  return (
    <p class="examples">
      <span class="dim">Examples:</span>{" "}
      {node.examples.slice(0, 6).map((example) => (
        <button type="button" key={short(example)} class="chip" onClick={() => set(example)}>{short(example)}</button>
      ))}
    </p>
  );
}

export function short(value: Json): string {
  const text = typeof value === "string" ? value : stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

const withoutNull = (node: Node): Node => ({ ...node, nullable: false, initial: node.initial === null ? undefined : node.initial });

function emptyOf(node: Node): Json {
  if (node.kind === "object") return {};
  if (node.kind === "array" || node.kind === "tuple") return [];
  if (node.kind === "boolean") return false;
  if (node.kind === "number") return node.low ? new NumberText(node.low.text) : 0;
  if (node.kind === "enum") return node.options[0] ?? null;
  if (node.kind === "union") return node.options[0] ? emptyOf(node.options[0].node()) : null;
  return node.kind === "file" && !node.bare ? { url: "" } : "";
}

function Control(props: ControlProps) {
  const { node } = props;
  switch (node.kind) {
    case "string": return <StringControl {...props} node={node} />;
    case "number": return <NumberControl {...props} node={node} />;
    case "boolean": return <BooleanControl {...props} node={node} />;
    case "enum": return <EnumControl {...props} node={node} />;
    case "file": return <FileControl {...props} node={node} />;
    case "array": return <ArrayControl {...props} node={node} />;
    case "tuple": return <TupleControl {...props} node={node} />;
    case "union": return <UnionControl {...props} node={node} />;
    case "object": return <ObjectControl {...props} node={node} />;
    case "json": return <JsonControl {...props} node={node} />;
    case "const": return null;
  }
}

/** The members of the whole input, without a frame around them. */
export function Members({ node }: { node: Of<"object"> }) {
  const form = useForm();
  const path: Path = [];
  const shown = node.members.filter((member) => !member.advanced);
  const folded = node.members.filter((member) => member.advanced);
  const own = new Set(node.members.map((member) => member.name));
  const whole = form.value.value;
  const strange = isObject(whole) ? Object.keys(whole).filter((name) => !own.has(name)) : [];
  const field = (member: (typeof node.members)[number]) => <Field key={member.name} node={member.node()} path={[...path, member.name]} required={member.required} />;
  return (
    <>
      {shown.map(field)}
      {folded.length > 0 && (
        <details class="advanced" open={folded.some((member) => form.at([member.name]) !== undefined || form.problems.value.some((one) => one.path[0] === member.name))}>
          <summary>Advanced ({folded.length})</summary>
          {folded.map(field)}
        </details>
      )}
      {node.extra ? <DictRows node={node} path={path} /> : strange.length > 0 && <p class="dim">Sent as well, though the schema has no such members: {strange.join(", ")} (see JSON)</p>}
    </>
  );
}
