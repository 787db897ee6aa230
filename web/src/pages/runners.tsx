// Runners: the processes by app, what each does, its memory; what it said outside of requests.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { get } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import type { App, RunnerLines, RunnerState } from "../api/types.ts";
import { Hold } from "../list/hold.tsx";
import { apps } from "../live/apps.ts";
import { useTopic } from "../live/topic.ts";
import { address, href, playground, setQuery } from "../router.ts";
import { Empty, Failed, Head, Time } from "../ui/basics.tsx";
import { bytes, clock, count, tail, time } from "../ui/format.ts";
import type { PageProps } from "../ui/frame.tsx";
import { Icon } from "../ui/icons.tsx";
import { may } from "../ui/signing.tsx";
import { appState } from "./home.tsx";

export default function Runners(_: PageProps) {
  const list = useTopic<RunnerState>("runners", "/api/v1/runners");
  const wanted = address.value.query.get("log");
  const runners = list.value.value;
  const error = list.state.value.error;
  return (
    <>
      <Head title="Runners"><span class="dim">{runners ? count(runners.length, "process", "processes") : ""}</span></Head>
      {error && <Failed error={error} retry={list.reload} />}
      {apps.value?.length === 0 && <Empty title="No app, no runner"><p><code>pondage serve app.py</code> starts one.</p></Empty>}
      {apps.value?.map((app) => <OfApp key={app.name} app={app} runners={(runners ?? []).filter((one) => one.app === app.name)} />)}
      {wanted && <Log key={wanted} app={wanted} />}
    </>
  );
}

function OfApp({ app, runners }: { app: App; runners: RunnerState[] }) {
  const [kind, words] = appState(app);
  const bounds = `${app.info.min_concurrency ?? 0} to ${app.info.max_concurrency ?? "any number"}`;
  return (
    <section class="panel" aria-label={`Runners of ${app.name}`}>
      <div class="row">
        <h2><a href={playground(app.name)}>{app.name}</a></h2>
        <span class={`app-state ${kind}`}>{words}</span>
        <span class="dim">{count(runners.length, "runner")}, {bounds} wanted{app.info.num_gpus ? ` · ${count(app.info.num_gpus, "GPU")} each` : ""} · {app.free} of {count(app.slots, "slot")} free</span>
        <span class="grow" />
        {may("operate") && <Hold app={app} />}
        {may("operate") && <button onClick={() => setQuery({ log: app.name }, { push: true })}>Log</button>}
      </div>
      {app.fault && <p class="attention"><span><Icon name="warn" /> {app.fault}</span></p>}
      {runners.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label={`Processes of ${app.name}`}>
          <table>
            <thead><tr><th scope="col">Runner</th><th scope="col">State</th><th scope="col" class="n">Process</th><th scope="col">Up since</th><th scope="col" class="n">Memory</th><th scope="col">Runs</th></tr></thead>
            <tbody>
              {runners.map((one) => (
                <tr key={one.id}>
                  <th scope="row">{one.id}</th>
                  <td><span class={`mark ${one.state === "ready" ? "ok" : one.state === "lost" ? "error" : "running"}`}>{one.state}</span></td>
                  <td class="n">{one.pid}</td>
                  <td><Time at={one.started_at * 1000} /></td>
                  <td class="n">{one.memory ? bytes(one.memory) : "–"}</td>
                  <td>{one.running.length ? one.running.map((id) => <a key={id} class="chip" href={href(`/requests/${id}`)}>{tail(id)}</a>) : <span class="dim">nothing</span>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {!runners.length && !app.fault && <p class="dim">None: the next request starts one.</p>}
    </section>
  );
}

function Log({ app }: { app: string }) {
  const log = useLoad<RunnerLines>(app, (signal) => get("/api/v1/runners/logs", { app }, signal));
  const most = useSignal(300);
  useEffect(() => {
    const timer = setInterval(() => !document.hidden && log.reload(), 3000);
    return () => clearInterval(timer);
  }, [app]);
  const lines = log.value.value?.items ?? [];
  const error = log.state.value.error;
  return (
    <section class="panel" aria-labelledby="runner-log">
      <div class="row"><h2 id="runner-log">Log of {app}</h2><span class="dim">what its runners said outside of requests, and how they ended</span><span class="grow" /><button class="quiet" aria-label="Close the log" onClick={() => setQuery({ log: null })}><Icon name="close" /></button></div>
      {error && <Failed error={error} retry={log.reload} />}
      {!lines.length && !error && <p class="dim">Nothing yet.</p>}
      {lines.length > most.value && <button onClick={() => (most.value += 300)}>{lines.length - most.value} earlier: show more</button>}
      {lines.length > 0 && (
        <div class="log-lines" role="log" aria-live="off" aria-label={`Log of ${app}`} tabIndex={0}>
          {lines.slice(-most.value).map((line, n) => <div key={n} class={`log ${line.level.toLowerCase()}`}><span class="at">{clock(time(line.at), true)} {line.runner}</span> <span class="level">{line.level}</span> <span class="message">{line.message}</span></div>)}
        </div>
      )}
    </section>
  );
}
