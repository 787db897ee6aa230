// The flight recorder: everything that happened to one request, in one picture and in its events.
import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { ApiError, call, get } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import type { Delivery, Request, RequestEvent } from "../api/types.ts";
import { type Json, stringify } from "../json/lossless.ts";
import { Tree } from "../json/tree.tsx";
import { follow, clockAhead } from "../live/socket.ts";
import { opened, type Export } from "../play/export.ts";
import { Logs } from "../play/logs.tsx";
import { Download, Value, saveAs, says } from "../play/result.tsx";
import { Large, payload } from "../play/run.ts";
import { address, href, navigate, playground, setQuery } from "../router.ts";
import { spans } from "../timeline/spans.ts";
import { Timeline } from "../timeline/view.tsx";
import { Copy, Empty, Failed, Head, State, Tabs, Time } from "../ui/basics.tsx";
import { bytes, duration, tail, time } from "../ui/format.ts";
import type { PageProps } from "../ui/frame.tsx";
import { useActions } from "../ui/keys.ts";
import { announce, now } from "../ui/live-region.ts";
import { origin } from "../place.ts";

const TABS = [["events", "Events"], ["input", "Input"], ["output", "Output"], ["logs", "Logs"], ["webhook", "Webhook"], ["raw", "Raw"]] as const;
const SHOWN = 400;

export default function RequestPage({ params }: PageProps) {
  const id = params.id ?? "";
  if (id === "file") return opened.value ? <Shown request={opened.value.request} events={opened.value.events} deliveries={opened.value.deliveries} exported={opened.value} /> : <Empty title="No file is open"><p>Open one on the <a href={href("/requests")}>Requests</a> page.</p></Empty>;
  return <Live key={id} id={id} />;
}

/** An id, or the end of one: the request that it names. */
function Live({ id }: { id: string }) {
  const full = /^[0-9a-f-]{36}$/i.test(id);
  const found = useLoad<Request>(id, async (signal) => {
    if (full) return get<Request>(`/api/v1/requests/${id}`, { payloads: 0 }, signal);
    const page = await get<{ items: Request[] }>("/api/v1/requests", { id_tail: id, limit: 2 }, signal);
    const [first, second] = page.items;
    if (!first || second) throw new ApiError(404, first ? `Several requests end in ${id}: say more of it` : `No request ends in ${id}`, null);
    navigate(`/requests/${first.id}`, { replace: true });
    return first;
  });
  const request = useSignal<Request | null>(null);
  const events = useSignal<RequestEvent[]>([]);
  const known = found.value.value;
  useEffect(() => {
    if (!full) return;
    let said = "";
    return follow(`request:${id}`, {
      request: (fresh, more) => {
        request.value = fresh;
        if (more.length) events.value = [...events.value, ...more];
        if (said && said !== fresh.state) announce(`request ${fresh.outcome ?? fresh.state}`);
        said = fresh.state;
      },
      error: (error) => (found.state.value = { ...found.state.value, error, busy: false }),
    });
  }, [id]);
  const shown = request.value ?? known;
  const owed = useDeliveries(shown);
  const error = found.state.value.error;
  if (error && !shown) return <><Head title={`Request ${tail(id)}`} /><Failed error={error} retry={found.reload} /></>;
  if (!shown) return <><Head title={`Request ${tail(id)}`} /><p class="dim" aria-busy="true">Loading…</p></>;
  return <Shown request={shown} events={events.value} deliveries={owed} exported={null} />;
}

/** The request's deliveries with their tries, asked again while one is owed. */
function useDeliveries(request: Request | null): Delivery[] {
  const found = useSignal<Delivery[]>([]);
  const wanted = request?.webhook && request.state === "COMPLETED" ? request.id : "";
  useEffect(() => {
    if (!wanted) return;
    const load = async (rows: Delivery[]) => {
      try {
        found.value = await Promise.all(rows.map((one) => get<Delivery>(`/api/v1/webhooks/deliveries/${one.id}`)));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error; // the key may not see them: the rest of the page stands
      }
    };
    return follow(`deliveries?request_id=${wanted}`, { rows: (rows) => void load(rows as unknown as Delivery[]) });
  }, [wanted]);
  return found.value;
}

interface ShownProps {
  request: Request;
  events: RequestEvent[];
  deliveries: Delivery[];
  exported: Export | null;
}

function Shown({ request, events, deliveries, exported }: ShownProps) {
  const tab = address.value.query.get("tab") ?? "events";
  const endpoint = request.app + (request.path === "/" ? "" : request.path);
  const mark = request.outcome === "ok" ? "✓" : request.outcome === "error" ? "✗" : request.outcome ? "–" : "…";
  const since = now.value + clockAhead.value * 1000 - time(request.submitted_at);
  const open = request.state !== "COMPLETED" || deliveries.some((one) => one.state === "owed");
  const all = useMemo(() => spans(request, events, deliveries), [events.length, deliveries, request]);
  const wrong = useSignal("");
  const act = async (work: () => Promise<void>) => {
    wrong.value = "";
    try {
      await work();
    } catch (error) {
      wrong.value = error instanceof Error ? error.message : String(error);
    }
  };
  const replay = () => act(async () => {
    const made = await call<{ request_id: string }>("POST", `/api/v1/requests/${request.id}/retry`);
    navigate(`/requests/${made.request_id}`);
  });
  const cancel = () => act(async () => void (await call("PUT", `/api/v1/requests/${request.id}/cancel`)));
  const save = () => act(async () => {
    const [input, output] = await Promise.all([kept(request, "input"), kept(request, "output")]);
    const whole = { pondage: 1, exported_at: new Date().toISOString(), request, events, deliveries, input, output } as unknown as Json;
    saveAs(new Blob([stringify(whole, 1)], { type: "application/json" }), `request-${request.id}.json`);
  });
  useActions(
    () => exported ? [] : [
      { keys: "r", says: "Replay this request", run: () => void replay() },
      { keys: "c", says: "Cancel this request", run: () => request.state !== "COMPLETED" && confirm("Cancel this request?") && void cancel() },
      { keys: "y", says: "Copy the id", run: () => void navigator.clipboard?.writeText(request.id) },
    ],
    [request.id, request.state],
  );
  const items = TABS.filter(([name]) => name !== "webhook" || request.webhook).map(([name, text]) => [name, name === "logs" ? `${text} (${events.filter((event) => event.kind === "log").length})` : text] as const);
  return (
    <>
      <Head title={`Request ${tail(request.id)}`} tab={`${mark} ${tail(request.id)} · ${endpoint}`}>
        <State state={request.state} outcome={request.outcome} />
        {exported ? <span class="chip">from a file, of {new Date(exported.exported_at).toLocaleString()}</span> : <a href={playground(endpoint)}>{endpoint}</a>}
        <span class="grow" />
        {!exported && <Actions request={request} endpoint={endpoint} replay={() => void replay()} cancel={() => void cancel()} save={() => void save()} />}
      </Head>
      {wrong.value && <p class="error" role="alert">{wrong.value}</p>}
      <Facts request={request} />
      {request.error && <p class="failed"><span><strong>{request.error_type ?? request.outcome}</strong> {request.error}</span></p>}
      {all.length > 0 && <Timeline all={all} now={open ? Math.max(since, 1) : 0} />}
      <Tabs items={items} chosen={tab} choose={(name) => setQuery({ tab: name === "events" ? null : name }, { push: true })} label="Request" />
      {tab === "events" && <Events request={request} events={events} />}
      {tab === "input" && <Payload request={request} which="input" exported={exported} />}
      {tab === "output" && <Payload request={request} which="output" exported={exported} />}
      {tab === "logs" && <Logs lines={events.filter((event) => event.kind === "log")} />}
      {tab === "webhook" && <Webhook deliveries={deliveries} />}
      {tab === "raw" && <Tree value={{ request, deliveries } as unknown as Json} label="Request" />}
    </>
  );
}

const kept = async (request: Request, which: "input" | "output"): Promise<Json> => {
  try {
    const found = await payload(request.id, which, which === "input" ? request.input_bytes : request.output_bytes);
    return found instanceof Large ? found.head : found;
  } catch (error) {
    if (error instanceof ApiError) return null; // not kept: the rest is worth having
    throw error;
  }
};

function Actions({ request, endpoint, replay, cancel, save }: { request: Request; endpoint: string; replay: () => void; cancel: () => void; save: () => void }) {
  const asks = useSignal(false);
  const done = request.state === "COMPLETED";
  return (
    <div class="row">
      {done && <button onClick={replay}>Replay <kbd>r</kbd></button>}
      <a class="button" href={`${playground(endpoint)}?request=${request.id}`}>Edit and replay</a>
      {request.retried_from && <a class="button" href={href(`/compare?ids=${request.retried_from},${request.id}`)}>Compare</a>}
      <Copy text={`pondage requests show ${request.id} --server ${origin()}`} label="Copy as command" />
      <Copy text={`curl -sS ${origin()}/api/v1/requests/${request.id}`} label="Copy as curl" />
      <button onClick={save}>Export</button>
      {!done && (asks.value
        ? <span class="row" role="group" aria-label="Cancel this request?"><button class="danger" onClick={() => { asks.value = false; cancel(); }}>Yes, cancel it</button><button onClick={() => (asks.value = false)}>No</button></span>
        : <button class="danger" onClick={() => (asks.value = true)}>Cancel</button>)}
    </div>
  );
}

function Facts({ request }: { request: Request }) {
  const facts: [string, preact.ComponentChildren][] = [
    ["id", <code key="id">{request.id}</code>],
    ["submitted", <Time key="at" at={time(request.submitted_at)} />],
    ["attempts", String(request.attempt)],
  ];
  if (request.runner) facts.push(["runner", request.runner]);
  if (request.position !== null) facts.push(["ahead", String(request.position)]);
  if (request.inference_time !== null) facts.push(["function", duration(request.inference_time)]);
  if (request.caller) facts.push(["key", request.caller]);
  if (request.priority) facts.push(["priority", "low"]);
  if (request.agent) facts.push(["from", request.agent]);
  if (request.retried_from) facts.push(["replay of", <a key="old" href={href(`/requests/${request.retried_from}`)}>{tail(request.retried_from)}</a>]);
  facts.push(["input", bytes(request.input_bytes)], ["output", bytes(request.output_bytes)]);
  return <dl class="facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>;
}

function Events({ request, events }: { request: Request; events: RequestEvent[] }) {
  const kind = address.value.query.get("kind") ?? "";
  const text = useSignal("");
  const most = useSignal(SHOWN);
  const wanted = Number(/^e(\d+)$/.exec(address.value.hash)?.[1] ?? 0);
  const kinds = useComputed(() => [...new Set(events.map((event) => event.kind))]);
  const needle = text.value.toLowerCase();
  const fitting = events.filter((event) =>
    (!kind || (kind === "failures" ? event.kind === "retried" || event.kind === "stale" || event.level === "ERROR" || event.outcome === "error" : event.kind === kind)) &&
    (!needle || says(event).toLowerCase().includes(needle)));
  const half = most.value / 2;
  const at = wanted ? fitting.findIndex((event) => event.n === wanted) : -1;
  const from = at >= 0 ? Math.max(0, at - half) : Math.max(0, fitting.length - most.value);
  const shown = fitting.slice(from, from + most.value);
  const there = at >= 0;
  useEffect(() => {
    if (there) document.getElementById(`e${wanted}`)?.scrollIntoView({ block: "center" });
  }, [wanted, there]);
  return (
    <section class="panel" aria-label="Events">
      <div class="row">
        <label>Kind <select value={kind} onChange={(event) => setQuery({ kind: event.currentTarget.value })}><option value="">all</option><option value="failures">failures</option>{[...new Set(events.map((event) => event.kind))].map((one) => <option key={one}>{one}</option>)}</select></label>
        <input type="text" aria-label="Events that contain" placeholder="contains…" value={text.value} onInput={(event) => (text.value = event.currentTarget.value)} />
        <span class="dim">{fitting.length} of {events.length}</span>
      </div>
      {from > 0 && <button onClick={() => (most.value += SHOWN)}>{from} earlier: show more</button>}
      <ol class="events">
        {shown.map((event) => (
          <li key={event.n} id={`e${event.n}`} class={event.n === wanted ? "wanted" : undefined}>
            <a href={`#e${event.n}`}>#{event.n}</a> <span class="dim">+{duration((time(event.at) - time(request.submitted_at)) / 1000)}</span> <strong>{event.kind}</strong>{event.attempt ? <span class="dim"> attempt {event.attempt}</span> : null} {says(event)}
          </li>
        ))}
      </ol>
      {from + shown.length < fitting.length && <button onClick={() => (most.value += SHOWN)}>{fitting.length - from - shown.length} later: show more</button>}
      {!events.length && <p class="dim">{kinds.value.length ? "" : "No events yet."}</p>}
    </section>
  );
}

function Payload({ request, which, exported }: { request: Request; which: "input" | "output"; exported: Export | null }) {
  const size = which === "input" ? request.input_bytes : request.output_bytes;
  const found = useLoad<Json | Large>(`${request.id} ${which} ${request.state}`, () => exported ? Promise.resolve(exported[which]) : which === "output" && request.state !== "COMPLETED" ? Promise.resolve(null) : payload(request.id, which, size));
  const value = found.value.value;
  const error = found.state.value.error;
  if (error) return error.status === 404 || error.status === 410 ? <Empty title={`The ${which} is not kept`}><p>{error.message}</p></Empty> : <Failed error={error} retry={found.reload} />;
  if (found.state.value.busy) return <p class="dim" aria-busy="true">Loading…</p>;
  if (which === "output" && request.state !== "COMPLETED") return <p class="dim">There is none yet.</p>;
  return (
    <section class="panel" aria-label={which}>
      {!exported && <div class="row"><Download id={request.id} which={which} />{!(value instanceof Large) && <Copy text={stringify(value, 2)} label={`Copy ${which}`} />}</div>}
      {value instanceof Large ? <><p>It has {bytes(value.size)}: its beginning is shown.</p><pre class="text-output" tabIndex={0}>{value.head}</pre></> : <Value value={value} />}
    </section>
  );
}

function Webhook({ deliveries }: { deliveries: Delivery[] }) {
  if (!deliveries.length) return <p class="dim">Nothing was owed yet: deliveries begin when the request ends.</p>;
  return <>{deliveries.map((one) => <DeliveryTries key={one.id} delivery={one} />)}</>;
}

export function DeliveryTries({ delivery }: { delivery: Delivery }) {
  return (
    <section class="panel" aria-label={`Delivery ${delivery.id}`}>
      <div class="row"><strong>{delivery.event}</strong> <code>{delivery.url}</code> <span class={`mark ${delivery.state === "done" ? "ok" : delivery.state === "dead" ? "error" : "waiting"}`}>{delivery.state}</span>{delivery.due_at && <span>next try <Time at={time(delivery.due_at)} /></span>}</div>
      {delivery.held && <p class="hint">Its host is left alone for {duration(delivery.held.seconds)} after {delivery.held.failures} failures in a row.</p>}
      <div class="scroll" tabIndex={0} role="region" aria-label={`Tries of ${delivery.id}`}>
        <table>
          <thead><tr><th scope="col" class="n">Try</th><th scope="col">When</th><th scope="col" class="n">Took</th><th scope="col">Answer</th></tr></thead>
          <tbody>{(delivery.log ?? []).map((entry) => <tr key={entry.n}><td class="n">{entry.n}</td><td><Time at={time(entry.at)} /></td><td class="n">{duration(entry.duration)}</td><td><span class={`mark ${entry.status !== null && entry.status < 300 ? "ok" : "error"}`}>{entry.status ?? "none"}</span> {entry.reason} {entry.answer && <details><summary>what it said</summary><pre>{entry.answer}</pre></details>}</td></tr>)}</tbody>
        </table>
      </div>
    </section>
  );
}
