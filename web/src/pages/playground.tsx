// The playground of one endpoint: form left, result right, history below; API, code and limits beside it.
import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { ApiError, get } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import type { App, EndpointInfo } from "../api/types.ts";
import { Field, Form, Members, fieldId } from "../form/field.tsx";
import { key, problems } from "../form/paths.ts";
import { type Node, Reader } from "../form/schema.ts";
import { FormState } from "../form/state.ts";
import { type Json, isObject, stringify } from "../json/lossless.ts";
import { apps } from "../live/apps.ts";
import type { Found } from "../media/find.ts";
import { ApiTab, Limits } from "../play/about.tsx";
import { Code } from "../play/code.tsx";
import { dropDraft, draftOf, keepDraft } from "../play/draft.ts";
import { History } from "../play/history.tsx";
import { inWords, useQuote } from "../play/quote.ts";
import { Realtime } from "../play/realtime.tsx";
import { Result } from "../play/result.tsx";
import { Vary } from "../play/vary.tsx";
import { Large, Run, payload, wholeRequest } from "../play/run.ts";
import { address, navigate, playground, setQuery } from "../router.ts";
import { Empty, Failed, Head, Tabs } from "../ui/basics.tsx";
import { count } from "../ui/format.ts";
import type { PageProps } from "../ui/frame.tsx";
import { Icon } from "../ui/icons.tsx";
import { useActions } from "../ui/keys.ts";
import { appState } from "./home.tsx";

/** The app and the path that an endpoint id names; of several known apps the longest. */
export function split(endpoint: string, names: string[]): [string, string] {
  const known = names.filter((name) => endpoint === name || endpoint.startsWith(`${name}/`)).sort((a, b) => b.length - a.length)[0];
  const name = known ?? endpoint.split("/").slice(0, 2).join("/");
  return [name, endpoint.slice(name.length) || "/"];
}

export default function Playground({ params }: PageProps) {
  const endpoint = params.endpoint ?? "";
  const [name, path] = split(endpoint, (apps.value ?? []).map((app) => app.name));
  const now = apps.value?.find((one) => one.name === name);
  const app = useLoad<App>(name, (signal) => get(`/api/v1/apps/${name}`, {}, signal));
  const found = app.value.value;
  // Its schemas are known once it has been set up, and are others after a reload of its file: asked again then.
  const stale = now && found && (now.info.endpoints.length !== found.info.endpoints.length || now.info.version !== found.info.version);
  useEffect(() => {
    if (stale || (now && app.state.value.error?.status === 404)) app.reload();
  }, [stale, Boolean(now)]);
  const error = app.state.value.error;
  if (error?.status === 404) {
    return <><Head title={endpoint} /><Empty title="There is no such app"><p>{name} is not known to this server. Serve it, and this page changes by itself:</p><pre>pondage serve app.py</pre></Empty></>;
  }
  if (error && !found) return <><Head title={endpoint} /><Failed error={error} retry={app.reload} /></>;
  if (!found || found.name !== name) return <><Head title={endpoint} /><p class="dim" aria-busy="true">Loading…</p></>;
  const known = found.info.endpoints.find((one) => one.path === path) ?? null;
  return <Endpoint key={`${endpoint} ${found.info.endpoints.length}`} app={now ? { ...now, info: found.info } : found} path={path} endpoint={known} />;
}

const ANY: Json = {};

function Endpoint({ app, path, endpoint }: { app: App; path: string; endpoint: EndpointInfo | null }) {
  const id = app.name + (path === "/" ? "" : path);
  const live = endpoint?.kind === "realtime";
  const schema = (endpoint ? endpoint.input_schema : null) as Json;
  // By what it says, not by which answer it came in: a form must not begin anew because the app was asked again.
  const node = useMemo<Node>(() => new Reader(schema ?? ANY).node(schema ?? ANY), [schema && stringify(schema)]);
  const form = useMemo(() => new FormState(node, draftOf(id)), [node, id]);
  const run = useMemo(() => new Run((ended) => refused(ended, form)), [id]);
  const tab = address.value.query.get("tab") ?? (live ? "realtime" : "try");
  const items = [...(live ? [["realtime", "Realtime"] as const] : [["try", "Try"] as const]), ["api", "API"] as const, ["code", "Code"] as const, ["limits", "Limits"] as const];
  const unknown = app.info.endpoints.length > 0 && !endpoint;
  return (
    <>
      <Head title={id} tab={`${id} · Playground`}>
        <Standing app={app} />
        <span class="grow" />
        <EndpointChoice app={app} path={path} />
      </Head>
      {app.held && <p class="attention"><span><Icon name="warn" /> This app is {app.held.drained ? "drained" : "paused"}{app.held.reason ? `: ${app.held.reason}` : ""}. A run waits until it goes on.</span></p>}
      {app.fault && <p class="attention"><span><Icon name="warn" /> {app.fault}</span></p>}
      {unknown ? (
        <Empty title="No such endpoint"><p>{app.name} has {app.info.endpoints.map((one) => one.path).join(", ")}.</p></Empty>
      ) : (
        <>
          <Tabs items={items} chosen={tab} choose={(name) => setQuery({ tab: name === items[0]![0] ? null : name }, { push: true })} label="Playground" />
          {tab === "try" && <Try app={app} path={path} id={id} form={form} run={run} />}
          {tab === "realtime" && endpoint && <Realtime id={id} form={form} />}
          {tab === "api" && endpoint && <ApiTab endpoint={endpoint} />}
          {tab === "code" && <Code endpoint={id} input={form.text.value} />}
          {tab === "limits" && <Limits app={app} endpoint={endpoint} />}
        </>
      )}
    </>
  );
}

function Standing({ app }: { app: App }) {
  const [kind, words] = appState(app);
  return <span class={`app-state ${kind}`}>{words}{app.runners ? `, ${count(app.runners, "runner")}` : ""}{app.queued ? ` · ${app.queued} waiting` : ""}</span>;
}

function EndpointChoice({ app, path }: { app: App; path: string }) {
  if (app.info.endpoints.length < 2) return null;
  return (
    <select class="endpoint" aria-label="Endpoint" value={path} onChange={(event) => navigate(playground(app.name + (event.currentTarget.value === "/" ? "" : event.currentTarget.value)).replace(/^.*?\/ui/, ""))}>
      {!app.info.endpoints.some((one) => one.path === path) && <option value={path}>{path}</option>}
      {app.info.endpoints.map((one) => <option key={one.path} value={one.path}>{one.path} {one.kind === "call" ? "" : `(${one.kind})`}</option>)}
    </select>
  );
}

/** A 422 is shown at its fields, and the first of them gets the focus. */
function refused(run: Run, form: FormState): void {
  const output = run.output.value;
  const detail = isObject(output as Json) && !(output instanceof Large) ? (output as { detail?: Json }).detail : run.error.value?.detail;
  if (run.error.value?.status !== 422 && run.request.value?.status !== 422) return;
  form.problems.value = problems(detail ?? null, form.value.value);
  const first = form.problems.value[0];
  if (!first) return;
  setTimeout(() => {
    const at = document.getElementById(fieldId(first.path)) ?? document.querySelector<HTMLElement>(`[id^="${CSS.escape(fieldId(first.path))}"]`);
    at?.closest("details")?.setAttribute("open", "");
    at?.focus();
  });
}

function Try({ app, path, id, form, run }: { app: App; path: string; id: string; form: FormState; run: Run }) {
  const view = useSignal<"form" | "json">("form");
  const kept = useSignal(draftOf(id) !== undefined);
  const fresh = useSignal(false);
  const varying = useSignal(false);
  const wanted = address.value.query.get("request");
  useEffect(() => {
    if (wanted && wanted !== run.id.value) void open(wanted);
  }, [wanted]);
  useEffect(() => {
    const timer = setTimeout(() => keepDraft(id, form.node, form.value.value), 400);
    return () => clearTimeout(timer);
  }, [form.value.value]);

  const open = async (request: string) => {
    run.follow(request);
    setQuery({ request });
    try {
      const whole = await wholeRequest(request);
      const input = whole.input_bytes ? await payload(request, "input", whole.input_bytes) : {};
      if (!(input instanceof Large)) form.replace(input);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the run itself shows what is wrong
    }
  };
  const submit = async () => {
    if (run.busy.value || form.uploading.value || form.wrong.value) return;
    if (fresh.value) reseed(form);
    form.problems.value = [];
    await run.submit(id, form.text.value);
    if (run.id.value) setQuery({ request: run.id.value });
  };
  const use = (found: Found) => {
    const place = filePlace(form.node, found.type);
    if (place) form.set([place.name], place.bare ? found.url : { url: found.url, content_type: found.type, file_name: found.name });
  };
  useActions(
    () => [
      { keys: "Ctrl+Enter", says: "Run", run: () => void submit() },
      { keys: "c", says: "Cancel the run", run: () => run.busy.value && void run.cancel() },
      { keys: "r", says: "Run again", run: () => void submit() },
    ],
    [run, form],
  );
  const label = useComputed(() => {
    if (form.uploading.value) return "Uploading…";
    if (run.sending.value) return "Sending…";
    const request = run.request.value;
    if (run.busy.value && request?.state === "IN_QUEUE") return request.position ? `Waiting · ${request.position} ahead` : "Waiting";
    if (run.busy.value) return "Running…";
    return "Run";
  });
  const quote = useQuote(app.name, path, form.text.value, app.queued);
  const hasSeed = form.node.kind === "object" && form.node.members.some((member) => { const inner = member.node(); return inner.kind === "number" && inner.seed; });
  return (
    <>
      <div class="play">
        <form class="panel input" aria-label="Input" noValidate onSubmit={(event) => { event.preventDefault(); void submit(); }}>
          <div class="row">
            <h2>Input</h2>
            <span class="grow" />
            <Tabs items={[["form", "Form"], ["json", "JSON"]]} chosen={view.value} choose={(name) => (view.value = name as "form" | "json")} label="Form or JSON" />
          </div>
          {kept.value && <p class="note">What you had typed is here again. <button type="button" onClick={() => { dropDraft(id); kept.value = false; form.replace(new FormState(form.node).value.value); }}>Begin anew</button></p>}
          {form.problems.value.length > 0 && (
            <div class="failed summary" role="alert">
              <p>{count(form.problems.value.length, "field does", "fields do")} not fit:</p>
              <ul>{form.problems.value.map((one) => <li key={key(one.path) + one.message}><a href={`#${fieldId(one.path)}`} onClick={(event) => { event.preventDefault(); view.value = "form"; setTimeout(() => document.getElementById(fieldId(one.path))?.focus()); }}>{one.path.join(".") || "the input"}</a>: {one.message}</li>)}</ul>
            </div>
          )}
          <Form.Provider value={form}>
            {view.value === "form" ? (form.node.kind === "object" && isObject(form.value.value) ? <Members node={form.node} /> : <Field node={form.node} path={[]} required />) : <JsonInput form={form} />}
          </Form.Provider>
          <div class="run-bar">
            <button type="submit" class="strong run" disabled={run.busy.value || form.uploading.value > 0 || form.wrong.value !== null}>
              <Icon name="play" /> {label.value} {!run.busy.value && <kbd>Ctrl ⏎</kbd>}
            </button>
            {!run.busy.value && <span class="dim">{[app.queued ? `${app.queued} ahead` : "", inWords(quote.value)].filter(Boolean).join(" · ")}</span>}
            {!run.busy.value && !app.slots && !app.fault && <span class="dim">no runner yet: the first one has to set up</span>}
            {form.node.kind === "object" && <button type="button" onClick={() => (varying.value = true)}>Vary…</button>}
            {hasSeed && <label class="check"><input type="checkbox" checked={fresh.value} onChange={(event) => (fresh.value = event.currentTarget.checked)} /> new seed each run</label>}
          </div>
        </form>
        <Result run={run} use={use} />
        {varying.value && <Vary endpoint={id} form={form} close={() => (varying.value = false)} />}
      </div>
      <History app={app.name} path={path} current={run.id.value} value={() => form.value.value} open={(request) => void open(request)} fill={(input) => form.replace(input)} compare={(ids) => navigate(`/compare?ids=${ids.join(",")}`)} />
    </>
  );
}

function reseed(form: FormState): void {
  if (form.node.kind !== "object") return;
  for (const member of form.node.members) {
    const inner = member.node();
    if (inner.kind === "number" && inner.seed) form.set([member.name], Math.floor(Math.random() * 2 ** 32));
  }
}

/** The first member of the input that takes a file of this type. */
function filePlace(node: Node, type: string): { name: string; bare: boolean } | null {
  if (node.kind !== "object") return null;
  for (const member of node.members) {
    const inner = member.node();
    if (inner.kind === "file" && (inner.family === "file" || type.startsWith(`${inner.family}/`))) return { name: member.name, bare: inner.bare };
  }
  return null;
}

function JsonInput({ form }: { form: FormState }) {
  const wrong = form.wrong.value;
  const format = () => form.replace(form.value.value);
  return (
    <div class="json-input">
      <div class="row"><span class={wrong ? "error" : "dim"} id="json-says">{wrong ? wrong.message : "These bytes are sent."}</span><span class="grow" /><button type="button" disabled={wrong !== null} onClick={format}>Format</button></div>
      <textarea
        class="code" aria-label="Input as JSON" aria-describedby="json-says" aria-invalid={wrong !== null || undefined} spellcheck={false}
        rows={Math.min(30, Math.max(8, form.text.value.split("\n").length + 1))} value={form.text.value} onInput={(event) => form.type(event.currentTarget.value)}
      />
    </div>
  );
}
