// Requests: filters that are in the URL, a window on a list of any length, live without jumping.
import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";

import { ApiError, get } from "../api/client.ts";
import type { Request, Requests } from "../api/types.ts";
import { ListWindow, ROW } from "../list/window.ts";
import { appNames } from "../live/apps.ts";
import { follow } from "../live/socket.ts";
import { Bulk } from "../list/bulk.tsx";
import { OperationList } from "../list/operations.tsx";
import { openFile, opened } from "../play/export.ts";
import { address, href, navigate, setQuery } from "../router.ts";
import { Empty, Failed, Head, State, Time } from "../ui/basics.tsx";
import { bytes, duration, tail, time } from "../ui/format.ts";
import type { PageProps } from "../ui/frame.tsx";
import { useActions } from "../ui/keys.ts";
import { looksLikeId } from "../ui/palette.tsx";
import { remember, remembered } from "../ui/store.ts";
import { Gallery } from "../list/gallery.tsx";

const FILTERS = ["app", "state", "outcome", "error_type", "caller", "since", "until", "slower"] as const;
const COLUMNS: readonly (readonly [string, string])[] = [["app", "Endpoint"], ["wait", "Wait"], ["run", "Run"], ["attempts", "Attempts"], ["error", "Error"], ["key", "Key"], ["runner", "Runner"], ["size", "Size"], ["when", "When"]];
const USUAL = "app,wait,run,error,when";

/** The query of the API from the page's own. */
function apiQuery(): Record<string, string> {
  const query = address.value.query;
  const made: Record<string, string> = {};
  for (const name of FILTERS) {
    const value = query.get(name);
    if (!value) continue;
    made[name] = name === "since" || name === "until" ? String(Date.parse(value) / 1000) : value;
  }
  return made;
}

export default function RequestsPage(_: PageProps) {
  const wanted = apiQuery();
  const key = JSON.stringify(wanted);
  const gallery = address.value.query.get("view") === "gallery";
  return (
    <>
      <Head title="Requests">
        <span class="grow" />
        <OpenFile />
        <button aria-pressed={gallery} onClick={() => setQuery({ view: gallery ? null : "gallery" }, { push: true })}>Gallery</button>
      </Head>
      <Filters />
      <OperationList />
      {gallery ? <Gallery key={key} query={wanted} /> : <List key={key} query={wanted} />}
    </>
  );
}

function OpenFile() {
  const wrong = useSignal("");
  return (
    <>
      <label class="button">
        Open a file
        <input
          type="file" class="visually-hidden" accept="application/json,.json" aria-label="Open a file with an exported request"
          onChange={async (event) => {
            const file = event.currentTarget.files?.[0];
            if (!file) return;
            try {
              opened.value = await openFile(file);
              navigate("/requests/file");
            } catch (error) {
              wrong.value = error instanceof Error ? error.message : String(error);
            }
          }}
        />
      </label>
      {wrong.value && <span class="error" role="alert">{wrong.value}</span>}
    </>
  );
}

function Filters() {
  const query = address.value.query;
  const text = useSignal("");
  const bare = useSignal("");
  const set = (name: string) => (event: { currentTarget: { value: string } }) => setQuery({ [name]: event.currentTarget.value });
  const search = (event: Event) => {
    event.preventDefault();
    const words = text.value.trim().split(/\s+/).filter(Boolean);
    const changes: Record<string, string> = {};
    bare.value = "";
    for (const word of words) {
      const [name, ...rest] = word.split(":");
      if (rest.length && (FILTERS as readonly string[]).includes(name ?? "")) changes[name!] = rest.join(":");
      else if (looksLikeId(word)) return navigate(`/requests/${word}`);
      else bare.value = `${word} is neither an id nor one of ${FILTERS.join(", ")}`;
    }
    text.value = "";
    setQuery(changes);
  };
  useActions(() => [{ keys: "/", says: "Filter requests", run: () => document.getElementById("filter")?.focus() }], []);
  const given = FILTERS.filter((name) => query.get(name));
  return (
    <div class="filters">
      <form role="search" aria-label="Requests" class="row" onSubmit={search}>
        <input id="filter" type="text" aria-label="An id, or filters like outcome:error" placeholder="id, or outcome:error app:acme/flux" value={text.value} onInput={(event) => (text.value = event.currentTarget.value)} />
        <button type="submit">Find</button>
        <label>App <select value={query.get("app") ?? ""} onChange={set("app")}><option value="">any</option>{query.get("app") && !appNames.value.includes(query.get("app")!) && <option>{query.get("app")}</option>}{appNames.value.map((name) => <option key={name}>{name}</option>)}</select></label>
        <label>State <select value={query.get("state") ?? ""} onChange={set("state")}><option value="">any</option>{["queued", "running", "completed"].map((one) => <option key={one}>{one}</option>)}</select></label>
        <label>Outcome <select value={query.get("outcome") ?? ""} onChange={set("outcome")}><option value="">any</option>{["ok", "error", "cancelled"].map((one) => <option key={one}>{one}</option>)}</select></label>
        <label>From <input type="datetime-local" value={query.get("since") ?? ""} onChange={set("since")} /></label>
        <label>To <input type="datetime-local" value={query.get("until") ?? ""} onChange={set("until")} /></label>
        <label>Slower than, s <input type="text" inputMode="decimal" size={5} value={query.get("slower") ?? ""} onChange={set("slower")} /></label>
      </form>
      {bare.value && <p class="hint">{bare.value}</p>}
      {given.length > 0 && <p class="row">{given.map((name) => <button key={name} class="chip" aria-label={`Without ${name}: ${query.get(name)}`} onClick={() => setQuery({ [name]: null })}>{name}: {query.get(name)} ×</button>)}<button class="quiet" onClick={() => setQuery(Object.fromEntries(FILTERS.map((name) => [name, null])))}>Clear</button></p>}
    </div>
  );
}

function List({ query }: { query: Record<string, string> }) {
  const place = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const height = useSignal(600);
  const newer = useSignal(0);
  const at = useSignal(-1);
  const chosen = useSignal<ReadonlySet<string>>(new Set());
  const columns = useSignal((remembered("columns") ?? USUAL).split(","));
  const window = useMemo(() => new ListWindow<Request>((cursor) => get<Requests>("/api/v1/requests", { ...query, limit: 50, cursor })), []);
  useEffect(() => {
    void window.seen(0, 600);
    const text = new URLSearchParams({ ...query, limit: "50" }).toString();
    let first = true;
    return follow(`requests?${text}`, {
      rows: (rows) => {
        const more = window.change(rows as unknown as Request[]);
        if (!first || window.size) newer.value = more;
        first = false;
      },
      error: (error) => (window.error.value = error),
    });
  }, []);
  const scrolled = () => {
    if (!place.current) return;
    top.value = place.current.scrollTop;
    height.value = place.current.clientHeight;
    void window.seen(top.value, height.value);
  };
  const drawn = useComputed(() => (window.pieces.value, window.drawn(top.value, height.value)));
  const size = window.size;
  const renew = async () => {
    newer.value = 0;
    window.pieces.value = [];
    place.current?.scrollTo(0, 0);
    top.value = 0;
    await window.seen(0, height.value);
  };
  const rowAt = (n: number) => window.drawn(n * ROW, ROW).rows[Math.min(n, 10)] ?? null;
  const move = (by: number) => {
    at.value = Math.max(0, Math.min(window.size - 1, at.value + by));
    const box = place.current;
    if (box && (at.value * ROW < box.scrollTop || (at.value + 1) * ROW > box.scrollTop + box.clientHeight)) box.scrollTop = at.value * ROW - box.clientHeight / 2;
  };
  const mark = (id: string) => {
    const next = new Set(chosen.value);
    if (!next.delete(id)) next.add(id);
    chosen.value = next;
  };
  useActions(
    () => [
      { keys: "j", says: "Next row", run: () => move(1) },
      { keys: "k", says: "Row before", run: () => move(-1) },
      { keys: "Enter", says: "Open the row", run: () => { const row = rowAt(at.value); if (row) navigate(`/requests/${row.id}`); } },
      { keys: "x", says: "Choose the row", run: () => { const row = rowAt(at.value); if (row) mark(row.id); } },
    ],
    [],
  );
  const error = window.error.value;
  return (
    <>
      {error !== null && <Failed error={error instanceof ApiError ? error : new ApiError(-1, String(error), null)} retry={() => void window.seen(top.value, height.value)} />}
      <div class="row list-bar">
        {newer.value > 0 && <button onClick={() => void renew()}>{newer.value}{newer.value >= 50 ? "+" : ""} newer</button>}
        <span class="dim" role="status">{size ? `${size.toLocaleString("en")}${window.done ? "" : "+"} requests` : ""}</span>
        {chosen.value.size > 1 && chosen.value.size <= 12 && <a class="button" href={href(`/compare?ids=${[...chosen.value].join(",")}`)}>Compare {chosen.value.size}</a>}
        <Bulk query={query} chosen={chosen.value} clear={() => (chosen.value = new Set())} />
        <span class="grow" />
        <details class="columns"><summary>Columns</summary>{COLUMNS.map(([name, text]) => <label key={name} class="check"><input type="checkbox" checked={columns.value.includes(name)} onChange={() => { columns.value = columns.value.includes(name) ? columns.value.filter((one) => one !== name) : [...columns.value, name]; remember("columns", columns.value.join(",")); }} /> {text}</label>)}</details>
      </div>
      {window.done && size === 0 && <Empty title="No request fits"><p>{Object.keys(query).length ? "Take a filter away, or look at another time." : "Run something in the Playground, or from the terminal:"}</p>{!Object.keys(query).length && <pre>pondage call {appNames.value[0] ?? "owner/alias"} '{"{}"}'</pre>}</Empty>}
      <div ref={place} class="window" role="region" aria-label="Requests" tabIndex={0} onScroll={scrolled}>
        <div role="table" aria-label="Requests" aria-rowcount={window.done ? size : -1} class="virtual" ref={(element) => element?.style.setProperty("height", `${size * ROW}px`)}>
          {drawn.value.rows.map((row, n) => {
            const index = drawn.value.first + n;
            return (
              <div key={row?.id ?? `gap${index}`} role="row" aria-rowindex={index + 1} class={`line${index === at.value ? " at" : ""}`} ref={(element) => element?.style.setProperty("top", `${index * ROW}px`)}>
                {row ? <Cells row={row} columns={columns.value} chosen={chosen.value.has(row.id)} mark={() => mark(row.id)} /> : <span role="cell" class="dim">…</span>}
              </div>
            );
          })}
        </div>
      </div>
    </>
  );
}

function Cells({ row, columns, chosen, mark }: { row: Request; columns: string[]; chosen: boolean; mark: () => void }) {
  const begun = time(row.started_at);
  const wait = ((begun || Date.now()) - time(row.submitted_at)) / 1000;
  const ran = row.started_at ? ((time(row.finished_at) || Date.now()) - begun) / 1000 : NaN;
  const cells: Record<string, preact.ComponentChildren> = {
    app: row.app + (row.path === "/" ? "" : row.path), wait: duration(Math.max(0, wait)), run: duration(ran), attempts: row.attempt, error: row.error ? `${row.error_type ?? ""} ${row.error}` : "",
    key: row.caller, runner: row.runner, size: `${bytes(row.input_bytes)} → ${bytes(row.output_bytes)}`, when: <Time at={time(row.submitted_at)} />,
  };
  return (
    <>
      <span role="cell" class="c-mark"><input type="checkbox" aria-label={`Choose ${tail(row.id)}`} checked={chosen} onChange={mark} /></span>
      <span role="cell" class="c-state"><State state={row.state} outcome={row.outcome} /></span>
      <span role="cell" class="c-id"><a href={href(`/requests/${row.id}`)}>{tail(row.id)}</a></span>
      {COLUMNS.filter(([name]) => columns.includes(name)).map(([name]) => <span role="cell" key={name} class={`c-${name}`}>{cells[name]}</span>)}
    </>
  );
}
