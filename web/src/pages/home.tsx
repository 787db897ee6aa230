// Home: what runs, what needs attention, what ran last.


import { useEffect } from "preact/hooks";

import { type ApiError, get } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import { Spark } from "../chart/spark.tsx";
import type { App, AppSummary, Latency, Request, Summaries } from "../api/types.ts";
import { apps, appsError, loadApps } from "../live/apps.ts";
import { useTopic } from "../live/topic.ts";
import { origin } from "../place.ts";
import { href, playground } from "../router.ts";
import { Command, Empty, Failed, Head, State, Time } from "../ui/basics.tsx";
import { count, duration, tail, time } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
import type { PageProps } from "../ui/frame.tsx";

const EVERY = 20_000;
type Hour = ReadonlyMap<string, AppSummary>;

const FIRST_APP = `# hello.py
import pondage

class Hello(pondage.App):
    @pondage.endpoint("/")
    def run(self, name: str) -> str:
        return f"hello, {name}"`;

export function Home(_: PageProps) {
  const last = useTopic<Request>("requests?limit=10", "/api/v1/requests?limit=10");

  const known = apps.value;
  const summary = useLoad<Summaries>("hour", (signal) => get("/api/v1/summary", {}, signal));
  useEffect(() => {
    const timer = setInterval(() => !document.hidden && summary.reload(), EVERY);
    return () => clearInterval(timer);
  }, []);
  const hour = new Map((summary.value.value?.items ?? []).map((one) => [one.app, one]));
  return (
    <>
      <Head title="Home" tab="Home · Pondage" />
      {appsError.value && <Failed error={appsError.value} retry={() => void loadApps()} />}
      {known && !known.length && <NoApp />}
      {known && known.length > 0 && (
        <>
          <Attention apps={known} hour={hour} />
          <AppTable apps={known} hour={hour} />
        </>
      )}
      {!known && !appsError.value && <p class="dim" aria-busy="true">Loading…</p>}
      {known && known.length > 0 && <Last requests={last.value.value} error={last.state.value.error} retry={last.reload} />}
    </>
  );
}

function NoApp() {
  return (
    <Empty title="No app yet">
      <p>This page changes by itself as soon as one is served. Write a file:</p>
      <Command text={FIRST_APP} />
      <p>and serve it, in the same folder as this server was started:</p>
      <Command text={`pondage serve hello.py`} />
      <p class="dim">This server answers at {origin()}.</p>
    </Empty>
  );
}

export function appState(app: App): [string, string] {
  if (app.held) return ["stale", app.held.drained ? "drained" : "paused"];
  if (!app.served) return ["cold", "not served here"];
  if (app.fault) return [app.slots ? "stale" : "fault", app.slots ? "serves an older version" : "cannot run"];
  if (!app.info.endpoints.length) return ["setup", "setting up"];
  if (app.running) return ["busy", "working"];
  return app.slots ? ["ready", "ready"] : ["cold", "no runner"];
}

/** What of an app a person should look at, in words; empty where it is well. */
function worry(app: App, hour: AppSummary | undefined): string {
  if (app.held) return `${app.held.drained ? "drained" : "paused"}${app.held.reason ? `: ${app.held.reason}` : ""}${app.queued ? `; ${count(app.queued, "request waits", "requests wait")}` : ""}`;
  if (app.fault) return app.fault;
  if (app.queued && !app.runners) return `${count(app.queued, "request waits", "requests wait")} and no runner is there`;
  const ended = hour ? hour.ok + hour.error : 0;
  if (hour && hour.error >= 5 && hour.error > ended * 0.1) return `${hour.error} of ${ended} failed in the last hour`;
  return "";
}

function Attention({ apps: known, hour }: { apps: App[]; hour: Hour }) {
  const faults = known.filter((app) => worry(app, hour.get(app.name)));
  if (!faults.length) return <p class="calm"><Icon name="ok" /> Everything is fine: {count(known.length, "app")}, none with a fault.</p>;
  return (
    <section aria-labelledby="attention" class="attention">
      <h2 id="attention">Needs attention</h2>
      <ul>
        {faults.map((app) => (
          <li key={app.name}>
            <Icon name="warn" /> <a href={playground(app.name)}>{app.name}</a>: {worry(app, hour.get(app.name))} {!app.fault && <a href={href(`/errors?span=hour&app=${encodeURIComponent(app.name)}`)}>its errors</a>}
          </li>
        ))}
      </ul>
    </section>
  );
}

const both = (latency: Latency | null | undefined): string => (latency ? `${duration(latency.p50)} / ${duration(latency.p90)}` : "–");

function AppTable({ apps: known, hour }: { apps: App[]; hour: Hour }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Apps">
      <table>
        <caption class="visually-hidden">Apps, and how many of their requests wait and run</caption>
        <thead>
          <tr><th scope="col">App</th><th scope="col">State</th><th scope="col" class="n">Queued</th><th scope="col" class="n">Running</th><th scope="col" class="n">Runners</th><th scope="col" class="n">Wait p50 / p90</th><th scope="col" class="n">Run p50 / p90</th><th scope="col">Last hour</th><th scope="col">Endpoints</th></tr>
        </thead>
        <tbody>
          {known.map((app) => {
            const [kind, words] = appState(app);
            return (
              <tr key={app.name}>
                <th scope="row"><a href={playground(app.name)}>{app.name}</a></th>
                <td><span class={`app-state ${kind}`}>{words}</span></td>
                <td class="n">{app.queued.toLocaleString("en")}</td>
                <td class="n">{app.running.toLocaleString("en")}</td>
                <td class="n">{app.runners}{app.info.max_concurrency ? ` of ${app.info.max_concurrency}` : ""}</td>
                <td class="n">{both(hour.get(app.name)?.wait)}</td>
                <td class="n">{both(hour.get(app.name)?.run)}</td>
                <td><Ended summary={hour.get(app.name)} /></td>
                <td>
                  {app.info.endpoints.map((endpoint) => (
                    <a key={endpoint.path} class="chip" href={playground(app.name + (endpoint.path === "/" ? "" : endpoint.path))}>{endpoint.path}</a>
                  ))}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Ended({ summary }: { summary: AppSummary | undefined }) {
  if (!summary || summary.ok + summary.error === 0) return <span class="dim">–</span>;
  return (
    <span class="ended">
      <Spark values={summary.ends} label={`Requests that ended, by minute: ${summary.ok} well, ${summary.error} with an error`} />
      <span>{summary.ok.toLocaleString("en")} ok{summary.error ? <>, <span class="mark error">{summary.error.toLocaleString("en")} failed</span></> : ""}</span>
    </span>
  );
}

function Last({ requests, error, retry }: { requests: Request[] | null; error: ApiError | null; retry: () => void }) {
  return (
    <section aria-labelledby="last">
      <h2 id="last">Last requests</h2>
      {error && <Failed error={error} retry={retry} />}
      {requests && !requests.length && <p class="dim">None yet. Try an app: its playground is behind its name.</p>}
      {requests && requests.length > 0 && (
        <ul class="rows">
          {requests.map((one) => (
            <li key={one.id}>
              <State state={one.state} outcome={one.outcome} />
              <a href={href(`/requests/${one.id}`)}>{tail(one.id)}</a>
              <span class="grow">{one.app}{one.path === "/" ? "" : one.path}{one.error ? <span class="dim"> · {one.error}</span> : null}</span>
              <span class="n dim">{one.finished_at ? duration((time(one.finished_at) - time(one.submitted_at)) / 1000) : ""}</span>
              <Time at={time(one.submitted_at)} />
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
