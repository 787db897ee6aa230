// Home: what runs, what needs attention, what ran last.


import type { ApiError } from "../api/client.ts";
import type { App, Request } from "../api/types.ts";
import { apps, appsError, loadApps } from "../live/apps.ts";
import { useTopic } from "../live/topic.ts";
import { origin } from "../place.ts";
import { href, playground } from "../router.ts";
import { Command, Empty, Failed, Head, State, Time } from "../ui/basics.tsx";
import { count, duration, tail, time } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
import type { PageProps } from "../ui/frame.tsx";

const FIRST_APP = `# hello.py
import pondage

class Hello(pondage.App):
    @pondage.endpoint("/")
    def run(self, name: str) -> str:
        return f"hello, {name}"`;

export function Home(_: PageProps) {
  const last = useTopic<Request>("requests?limit=10", "/api/v1/requests?limit=10");

  const known = apps.value;
  return (
    <>
      <Head title="Home" tab="Home · Pondage" />
      {appsError.value && <Failed error={appsError.value} retry={() => void loadApps()} />}
      {known && !known.length && <NoApp />}
      {known && known.length > 0 && (
        <>
          <Attention apps={known} />
          <AppTable apps={known} />
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
  if (app.fault) return [app.slots ? "stale" : "fault", app.slots ? "serves an older version" : "cannot run"];
  if (!app.info.endpoints.length) return ["setup", "setting up"];
  if (app.running) return ["busy", "working"];
  return app.slots ? ["ready", "ready"] : ["cold", "no runner"];
}

function Attention({ apps: known }: { apps: App[] }) {
  const faults = known.filter((app) => app.fault);
  if (!faults.length) return <p class="calm"><Icon name="ok" /> Everything is fine: {count(known.length, "app")}, none with a fault.</p>;
  return (
    <section aria-labelledby="attention" class="attention">
      <h2 id="attention">Needs attention</h2>
      <ul>
        {faults.map((app) => (
          <li key={app.name}>
            <Icon name="warn" /> <a href={playground(app.name)}>{app.name}</a>: {app.fault}
          </li>
        ))}
      </ul>
    </section>
  );
}

function AppTable({ apps: known }: { apps: App[] }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Apps">
      <table>
        <caption class="visually-hidden">Apps, and how many of their requests wait and run</caption>
        <thead>
          <tr><th scope="col">App</th><th scope="col">State</th><th scope="col" class="n">Queued</th><th scope="col" class="n">Running</th><th scope="col" class="n">Runners</th><th scope="col">Endpoints</th></tr>
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
