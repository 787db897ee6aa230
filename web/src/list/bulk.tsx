// Retry or cancel many: what the filter names, as one operation of the server, which goes on without this page; or the rows
// that are chosen, one after the other.
import { useSignal } from "@preact/signals";

import { ApiError, call } from "../api/client.ts";
import type { Operation } from "../api/types.ts";
import type { Json } from "../json/lossless.ts";
import { Dialog } from "../ui/basics.tsx";
import { count } from "../ui/format.ts";
import { announce } from "../ui/live-region.ts";
import { begun } from "./operations.tsx";

interface Props {
  /** The page's filter, as the API takes it. */
  query: Record<string, string>;
  chosen: ReadonlySet<string>;
  clear: () => void;
}

type Kind = "retry" | "cancel";

/** The filter of an operation; null where it cannot say the same as the page. */
function filterOf(query: Record<string, string>): Record<string, Json> | null {
  const made: Record<string, Json> = {};
  for (const [name, value] of Object.entries(query)) {
    if (name === "slower" || name === "id_tail" || (name === "state" && value === "completed")) return null;
    made[name] = name === "since" || name === "until" ? Number(value) : value;
  }
  return made;
}

/** What the filter can be for: what has ended is run again, what has not is cancelled. */
function kindsOf(query: Record<string, string>): Kind[] {
  if (query.outcome === "ok") return [];
  if (query.outcome || query.error_type) return ["retry"];
  return query.state === "queued" || query.state === "running" ? ["cancel"] : [];
}

export function Bulk({ query, chosen, clear }: Props) {
  const asked = useSignal<{ kind: Kind; matched: number } | null>(null);
  const says = useSignal("");
  const busy = useSignal(false);
  const filter = filterOf(query);
  const attempt = async (work: () => Promise<void>) => {
    says.value = "";
    busy.value = true;
    try {
      await work();
    } catch (error) {
      says.value = error instanceof ApiError ? error.message : String(error);
    } finally {
      busy.value = false;
    }
  };
  const look = (kind: Kind) => attempt(async () => {
    const found = await call<{ matched: number }>("POST", "/api/v1/operations", { json: { kind, filter: filter ?? {}, dry_run: true } });
    asked.value = { kind, matched: found.matched };
  });
  const begin = (kind: Kind, matched: number) => attempt(async () => {
    const name = `${kind} ${Object.entries(query).filter(([one]) => one !== "since" && one !== "until").map(([, value]) => value).join(" ")}`.slice(0, 100);
    begun(await call<Operation>("POST", "/api/v1/operations", { json: { kind, filter: filter ?? {}, count: Math.ceil(matched * 1.1) + 10, name } }));
    asked.value = null;
  });
  const each = (kind: Kind) => attempt(async () => {
    let done = 0;
    for (const id of chosen) {
      try {
        await (kind === "retry" ? call("POST", `/api/v1/requests/${id}/retry`) : call("PUT", `/api/v1/requests/${id}/cancel`));
        done++;
      } catch (error) {
        if (!(error instanceof ApiError) || error.status === 0) throw error; // one that is not kept, or has ended: the others go on
      }
      says.value = `${done} of ${chosen.size}`;
    }
    announce(`${kind}: ${done} of ${chosen.size}`);
    clear();
  });
  if (chosen.size) {
    return (
      <>
        <button disabled={busy.value} onClick={() => void each("retry")}>Retry {chosen.size}</button>
        <button disabled={busy.value} class="danger" onClick={() => void each("cancel")}>Cancel {chosen.size}</button>
        <button class="quiet" onClick={clear}>Unselect</button>
        {says.value && <span role="status">{says.value}</span>}
      </>
    );
  }
  return (
    <>
      {filter && kindsOf(query).map((kind) => <button key={kind} disabled={busy.value} onClick={() => void look(kind)}>{kind === "retry" ? "Retry all…" : "Cancel all…"}</button>)}
      {says.value && <span class="error" role="alert">{says.value}</span>}
      {asked.value && (
        <Dialog title={asked.value.kind === "retry" ? "Retry all that fit?" : "Cancel all that fit?"} close={() => (asked.value = null)}>
          <p><strong>{count(asked.value.matched, "request fits", "requests fit")}</strong>: {Object.entries(query).map(([name, value]) => `${name} ${value}`).join(", ") || "all"}.</p>
          <p>{asked.value.kind === "retry" ? "Each is submitted again as a new request that names the old one." : "What waits or runs ends as cancelled."} The server does it in steps, also when this page is closed; it can be paused, and undone for what it has not reached.</p>
          <div class="row">
            <button class={asked.value.kind === "retry" ? "strong" : "danger"} disabled={busy.value || asked.value.matched === 0} onClick={() => void begin(asked.value!.kind, asked.value!.matched)}>{asked.value.kind === "retry" ? "Retry" : "Cancel"} {asked.value.matched.toLocaleString("en")}</button>
            <button onClick={() => (asked.value = null)}>Leave it</button>
          </div>
        </Dialog>
      )}
    </>
  );
}
