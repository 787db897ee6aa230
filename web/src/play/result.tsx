// The right half of the playground: how the run goes, and what came of it.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { ApiError, fetched } from "../api/client.ts";
import { type Json, isObject, stringify } from "../json/lossless.ts";
import { Tree } from "../json/tree.tsx";
import { remember } from "../form/earlier.ts";
import { type Found, media } from "../media/find.ts";
import { Card, Medium, ours } from "../media/view.tsx";
import { href } from "../router.ts";
import { Copy, Failed, State, Tabs } from "../ui/basics.tsx";
import { bytes, clock, duration, tail, time } from "../ui/format.ts";
import { now } from "../ui/live-region.ts";
import { clockAhead } from "../live/socket.ts";
import { Logs } from "./logs.tsx";
import { Large, type Run } from "./run.ts";

const TABS = [["output", "Output"], ["events", "Events"], ["logs", "Logs"], ["raw", "Raw"]] as const;

export function Result({ run, use }: { run: Run; use: (found: Found) => void }) {
  const tab = useSignal("output");
  const request = run.request.value;
  if (!run.id.value && !run.error.value && !run.sending.value) {
    return <section class="panel result" aria-label="Result"><p class="dim">Fill in the form and run it: what comes of it appears here.</p></section>;
  }
  const logs = run.logs.value.length;
  const items = TABS.map(([name, text]) => [name, name === "logs" && logs ? `${text} (${logs})` : text] as const);
  return (
    <section class="panel result" aria-label="Result">
      <Head run={run} />
      {run.error.value && <Failed error={run.error.value} />}
      <Tabs items={items} chosen={tab.value} choose={(name) => (tab.value = name)} label="Result" />
      {tab.value === "output" && <Output run={run} use={use} />}
      {tab.value === "events" && <Events run={run} />}
      {tab.value === "logs" && <Logs lines={run.logs.value} />}
      {tab.value === "raw" && request && <Raw run={run} />}
    </section>
  );
}

function Head({ run }: { run: Run }) {
  const request = run.request.value;
  const progress = run.progress.value;
  if (!request) return run.sending.value ? <p aria-busy="true">Sending…</p> : null;
  const done = request.state === "COMPLETED";
  const end = request.finished_at ? time(request.finished_at) : now.value + clockAhead.value * 1000;
  const wait = (time(request.started_at ?? "") || end) - time(request.submitted_at);
  const total = progress?.total ?? null;
  return (
    <div class="run-head">
      <div class="row">
        <State state={request.state} outcome={request.outcome} />
        <a href={href(`/requests/${request.id}`)}>{tail(request.id)}</a>
        {request.state === "IN_QUEUE" && <span>{request.position ? `${request.position} ahead` : "next"} · waiting {duration(Math.max(0, wait) / 1000)}</span>}
        {request.state !== "IN_QUEUE" && <span class="dim">wait {duration(Math.max(0, wait) / 1000)} · run {request.started_at ? duration(Math.max(0, end - time(request.started_at)) / 1000) : "–"}{request.attempt > 1 ? ` · attempt ${request.attempt}` : ""}</span>}
        <span class="grow" />
        {!done && <button type="button" class="danger" onClick={() => void run.cancel()}>Cancel <kbd>c</kbd></button>}
      </div>
      {!done && progress && (
        <div class="progress">
          <progress max={total ?? 1} value={total ? (progress.step ?? 0) : undefined} aria-label="Progress" />
          <span>{progress.message || (total ? `step ${progress.step} of ${total}` : `step ${progress.step}`)}</span>
        </div>
      )}
      {run.preview.value && !done && <Medium url={run.preview.value} type="image/jpeg" name="preview" />}
    </div>
  );
}

function Output({ run, use }: { run: Run; use: (found: Found) => void }) {
  const request = run.request.value;
  const output = run.output.value;
  const chunks = run.chunks.value;
  if (request?.outcome === "error" || request?.outcome === "cancelled") {
    return (
      <>
        <Failure request={request} output={output instanceof Large ? null : (output ?? null)} />
        {chunks.length > 0 && <Partial chunks={chunks.map((one) => (one.data ?? null) as Json)} use={use} />}
      </>
    );
  }
  if (chunks.length && (!request || request.outcome === null || request.mode === "stream")) return <Partial chunks={chunks.map((one) => (one.data ?? null) as Json)} use={use} />;
  if (output instanceof Large) return <Beginning large={output} id={run.id.value} />;
  if (output === undefined) return <p class="dim">{request?.state === "IN_QUEUE" ? "Waiting for a runner." : "Running."}</p>;
  return <Value value={output} use={use} />;
}

function Failure({ request, output }: { request: { error: string | null; error_type: string | null; status: number | null; outcome: string | null }; output: Json }) {
  const detail = isObject(output) ? output.detail : null;
  const fields = Array.isArray(detail) ? detail.filter(isObject) : [];
  return (
    <div class="failed" role="alert">
      <p><strong>{request.outcome === "cancelled" ? "Cancelled" : `${request.status ?? ""} ${request.error_type ?? ""}`}</strong> {fields.length ? "" : (request.error ?? "")}</p>
      {fields.length > 0 && <ul>{fields.map((one, n) => <li key={n}><code>{Array.isArray(one.loc) ? one.loc.filter((step) => step !== "body").join(".") : ""}</code> {String(one.msg ?? "")}</li>)}</ul>}
      {!fields.length && output !== null && <Tree value={output} label="What the caller got" />}
    </div>
  );
}

/** A value with its media first; a text as a text. */
export function Value({ value, use }: { value: Json; use?: ((found: Found) => void) | undefined }) {
  const found = media(value);
  useEffect(() => {
    remember(found.filter((one) => ours(one.url) && !one.url.startsWith("data:")).map((one) => ({ url: one.url, content_type: one.type, name: one.name })));
  }, [value]);
  const text = textOf(value);
  return (
    <>
      {found.length > 0 && <div class="media-grid">{found.map((one) => <Card key={one.place + one.url} found={one} {...(use ? { use } : {})} />)}</div>}
      {text !== null && <pre class="text-output" tabIndex={0}>{text}</pre>}
      {(text === null || isObject(value)) && (found.length ? <details><summary>As JSON</summary><Tree value={value} label="Output" /></details> : <Tree value={value} label="Output" />)}
    </>
  );
}

/** The text that an output is, or that is its only member of some length. */
function textOf(value: Json): string | null {
  if (typeof value === "string") return /^(https?:|data:)/.test(value) ? null : value;
  if (!isObject(value)) return null;
  const name = ["text", "output", "result", "answer", "content", "transcription"].find((one) => typeof value[one] === "string");
  const text = name ? String(value[name]) : "";
  return text.length > 40 || text.includes("\n") ? text : null;
}

/** Partial output: texts joined, else the last piece and how many there are. */
function Partial({ chunks, use }: { chunks: Json[]; use: (found: Found) => void }) {
  const texts = chunks.map((chunk) => (typeof chunk === "string" ? chunk : isObject(chunk) ? firstText(chunk) : null));
  const joined = texts.every((one) => one !== null) ? texts.join("") : null;
  const last = chunks.at(-1) ?? null;
  return (
    <>
      <p class="dim">{chunks.length} {chunks.length === 1 ? "piece" : "pieces"} so far</p>
      {joined !== null && <pre class="text-output" tabIndex={0} aria-live="off">{joined}</pre>}
      {joined === null && <Value value={last} use={use} />}
      <details><summary>Every piece</summary><Tree value={chunks.slice(-200)} label="Pieces" /></details>
    </>
  );
}

const firstText = (chunk: Record<string, Json>): string | null => {
  for (const name of ["text", "token", "delta", "output"]) if (typeof chunk[name] === "string") return chunk[name];
  return null;
};

function Beginning({ large, id }: { large: Large; id: string }) {
  return (
    <>
      <p>The output has {bytes(large.size)}: its beginning is shown. <Download id={id} which="output" /></p>
      <pre class="text-output" tabIndex={0}>{large.head}</pre>
    </>
  );
}

/** Save a payload as a file; the browser asks with our own header, so a plain link will not do. */
export function Download({ id, which }: { id: string; which: "input" | "output" }) {
  const wrong = useSignal("");
  const save = async () => {
    try {
      const answer = await fetched("GET", `/api/v1/requests/${id}/${which}`);
      saveAs(await answer.blob(), `${id}-${which}.json`);
    } catch (error) {
      wrong.value = error instanceof ApiError ? error.message : String(error);
    }
  };
  return <><button type="button" onClick={() => void save()}>Download the {which}</button>{wrong.value && <span class="error"> {wrong.value}</span>}</>;
}

export function saveAs(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function Events({ run }: { run: Run }) {
  const shown = run.events.value.filter((event) => event.kind !== "log").slice(-300);
  return (
    <ol class="events">
      {shown.map((event) => (
        <li key={event.n}><span class="dim">#{event.n} {clock(Date.parse(event.at), true)}</span> <strong>{event.kind}</strong> {says(event)}</li>
      ))}
    </ol>
  );
}

/** An event in words. */
export function says(event: Run["events"]["value"][number]): string {
  switch (event.kind) {
    case "started": return `on ${event.runner}`;
    case "log": return event.message ?? "";
    case "progress": return `${event.step}${event.total ? ` of ${event.total}` : ""}${event.message ? `: ${event.message}` : ""}`;
    case "chunk": return `piece ${event.chunk}`;
    case "retried": return event.reason ?? "";
    case "stale": return `too late, changed nothing: ${event.what}`;
    case "completed": return `${event.outcome} ${event.status ?? ""}${event.error ? `: ${event.error}` : ""}`;
    default: return "";
  }
}

function Raw({ run }: { run: Run }) {
  const output = run.output.value;
  const text = output instanceof Large ? output.head : output === undefined ? "" : stringify(output, 2);
  return (
    <>
      <div class="row"><Copy text={text} label="Copy output" /><Download id={run.id.value} which="output" /></div>
      <pre class="text-output" tabIndex={0}>{text || "nothing yet"}</pre>
    </>
  );
}
