// Tabs API and Limits: the schema as a table and as it is; what the app declares.
import type { App, EndpointInfo } from "../api/types.ts";
import { Reader, type Node, type Of } from "../form/schema.ts";
import { type Json, stringify } from "../json/lossless.ts";
import { Tree } from "../json/tree.tsx";
import { Copy } from "../ui/basics.tsx";
import { duration } from "../ui/format.ts";

export function ApiTab({ endpoint }: { endpoint: EndpointInfo }) {
  const input = endpoint.input_schema as Json;
  const output = endpoint.output_schema as Json;
  return (
    <section class="panel" aria-label="API">
      {endpoint.description && <p>{endpoint.description}</p>}
      {([["Input", input], ["Output", output]] as const).map(([title, schema]) => (
        <div key={title} class="schema">
          <div class="row"><h2>{title}</h2>{schema && <Copy text={stringify(schema, 2)} label="Copy schema" />}</div>
          {schema ? <><Members node={new Reader(schema).node(schema)} label={`${title} members`} /><details><summary>JSON Schema</summary><Tree value={schema} label={`${title} schema`} /></details></> : <p class="dim">Not described: the function has no types.</p>}
        </div>
      ))}
    </section>
  );
}

function Members({ node, label }: { node: Node; label: string }) {
  if (node.kind !== "object") return <p>{kindOf(node)}</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead><tr><th scope="col">Member</th><th scope="col">Type</th><th scope="col">Default</th><th scope="col">What it is</th></tr></thead>
        <tbody>
          {node.members.map((member) => {
            const inner = member.node();
            return (
              <tr key={member.name}>
                <th scope="row"><code>{member.name}</code>{member.required ? " *" : ""}</th>
                <td>{kindOf(inner)}</td>
                <td>{inner.initial === undefined ? "" : <code>{cut(stringify(inner.initial))}</code>}</td>
                <td>{inner.description}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

const cut = (text: string) => (text.length > 80 ? `${text.slice(0, 80)}…` : text);

function kindOf(node: Node): string {
  const rest = node.nullable ? " or null" : "";
  switch (node.kind) {
    case "enum": return `one of ${node.options.slice(0, 12).map((one) => stringify(one)).join(", ")}${node.options.length > 12 ? ", …" : ""}${rest}`;
    case "const": return stringify(node.value);
    case "array": return `list of ${kindOf(node.item())}${rest}`;
    case "union": return `${node.options.map((one) => one.title).join(" or ")}${rest}`;
    case "file": return `${node.family} (URL)${rest}`;
    case "number": return `${node.integer ? "integer" : "number"}${range(node)}${rest}`;
    case "json": return `any JSON${rest}`;
    default: return node.kind + rest;
  }
}

const range = (node: Of<"number">): string => {
  const parts = [node.low && `${node.low.exclusive ? ">" : "≥"} ${node.low.text}`, node.high && `${node.high.exclusive ? "<" : "≤"} ${node.high.text}`].filter(Boolean);
  return parts.length ? ` (${parts.join(", ")})` : "";
};

export function Limits({ app, endpoint }: { app: App; endpoint: EndpointInfo | null }) {
  const { info } = app;
  const seconds = (value: number | null) => (value === null ? "the server's" : duration(value));
  const rows: [string, string][] = [
    ["Requests at once in a runner", String(info.max_multiplexing)],
    ["Runners", `${info.min_concurrency ?? "the server's"} to ${info.max_concurrency ?? "the server's"}`],
    ["Time one attempt may run", seconds(info.request_timeout)],
    ["Time a request may wait", seconds(info.request_start_timeout)],
    ["Time a runner may set up", seconds(info.startup_timeout)],
    ["A spare runner stays", seconds(info.keep_alive)],
    ["Attempts that a request may spoil", String(info.max_strikes ?? "the server's")],
    ["GPUs", String(info.num_gpus ?? 0)],
  ];
  if (endpoint) {
    rows.push(["Requests in one batch", String(endpoint.max_batch_size)], ["When its caller hangs up", endpoint.on_disconnect === "cancel" ? "it is cancelled" : "it goes on"]);
    if (endpoint.session_timeout !== null) rows.push(["A silent session ends after", duration(endpoint.session_timeout)]);
  }
  return (
    <section class="panel" aria-label="Limits">
      <table><tbody>{rows.map(([name, value]) => <tr key={name}><th scope="row">{name}</th><td>{value}</td></tr>)}</tbody></table>
    </section>
  );
}
