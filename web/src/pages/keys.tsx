// Keys: make one, see what each may do and used, end it.
import { useSignal } from "@preact/signals";

import { ApiError, call, get } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import type { Key, Keys, NewKey, UsageReport } from "../api/types.ts";
import { type Json } from "../json/lossless.ts";
import { appNames } from "../live/apps.ts";
import { openServer } from "../live/socket.ts";
import { origin } from "../place.ts";
import { Command, Dialog, Empty, Failed, Head, Time } from "../ui/basics.tsx";
import { duration, time } from "../ui/format.ts";
import type { PageProps } from "../ui/frame.tsx";

const SCOPES: readonly (readonly [string, string])[] = [
  ["submit", "make requests, and cancel and repeat its own"], ["read", "see its own requests and results"], ["read-all", "see everybody's"],
  ["files", "upload, list and delete its own files"], ["metrics", "read the metrics"], ["operate", "runners' logs; cancel anybody's requests"],
  ["join", "join as a runner"], ["admin", "everything"],
];
const LIVES: readonly (readonly [string, string])[] = [["", "for ever"], ["86400", "a day"], ["2592000", "30 days"], ["31536000", "a year"]];

export default function KeysPage(_: PageProps) {
  const list = useLoad<Keys>("keys", (signal) => get("/api/v1/keys", {}, signal));
  const usage = useLoad<UsageReport>("usage", (signal) => get("/api/v1/usage", { by: "key" }, signal));
  const making = useSignal(false);
  const made = useSignal<NewKey | null>(null);
  const turning = useSignal<Key | null>(null);
  const ending = useSignal<Key | null>(null);
  const wrong = useSignal("");
  const error = list.state.value.error;
  const items = list.value.value?.items ?? [];
  const used = (id: string) => usage.value.value?.items.filter((one) => one.key === id).reduce((sum, one) => ({ submitted: sum.submitted + one.submitted, runner: sum.runner + one.runner }), { submitted: 0, runner: 0 });
  const revoke = async (key: Key) => {
    wrong.value = "";
    try {
      await call("DELETE", `/api/v1/keys/${key.id}`);
      list.reload();
    } catch (failed) {
      wrong.value = failed instanceof Error ? failed.message : String(failed);
    }
    ending.value = null;
  };
  const rotate = async (key: Key) => {
    wrong.value = "";
    try {
      made.value = await call<NewKey>("POST", `/api/v1/keys/${key.id}/rotate`, { json: {} });
    } catch (failed) {
      wrong.value = failed instanceof Error ? failed.message : String(failed);
    }
    turning.value = null;
  };
  return (
    <>
      <Head title="Keys"><span class="grow" /><button class="strong" onClick={() => (making.value = true)}>Make a key</button></Head>
      {openServer.value && <p class="attention"><span>This server is open: any program on this machine can call it without a key. With the first key, every call needs one, this page's too.</span></p>}
      {error && <Failed error={error} retry={list.reload} />}
      {wrong.value && <p class="error" role="alert">{wrong.value}</p>}
      {list.value.value && !items.length && <Empty title="No key"><p>From the terminal: <code>pondage keys create NAME</code></p></Empty>}
      {items.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Keys">
          <table>
            <thead><tr><th scope="col">Name</th><th scope="col">Id</th><th scope="col">May</th><th scope="col">Apps</th><th scope="col">Made</th><th scope="col">Ends</th><th scope="col">Last use</th><th scope="col" class="n">Requests</th><th scope="col" class="n">Runner time</th><th scope="col">Do</th></tr></thead>
            <tbody>
              {items.map((one) => {
                const sum = used(one.id);
                return (
                  <tr key={one.id}>
                    <th scope="row">{one.name}</th>
                    <td><code>{one.id}</code></td>
                    <td>{one.scopes.join(", ")}</td>
                    <td>{one.apps ? one.apps.join(", ") || "none" : "any"}</td>
                    <td><Time at={time(one.created_at)} /></td>
                    <td>{one.revoked_at ? <span class="mark error">revoked</span> : one.expires_at ? <Time at={time(one.expires_at)} /> : "never"}</td>
                    <td>{one.used_at ? <><Time at={time(one.used_at)} /> <span class="dim">from {one.used_from}</span></> : "never"}</td>
                    <td class="n">{sum?.submitted.toLocaleString("en") ?? ""}</td>
                    <td class="n">{sum ? duration(sum.runner) : ""}</td>
                    <td>{!one.revoked_at && <><button class="quiet" aria-label={`Rotate ${one.name}`} onClick={() => (turning.value = one)}>Rotate</button> <button class="quiet" aria-label={`Revoke ${one.name}`} onClick={() => (ending.value = one)}>Revoke</button></>}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {making.value && <Make close={() => (making.value = false)} done={(key) => { making.value = false; made.value = key; }} />}
      {made.value && <Made made={made.value} close={() => { made.value = null; list.reload(); }} />}
      {turning.value && (
        <Dialog title={`Rotate ${turning.value.name}?`} close={() => (turning.value = null)}>
          <p>It gets another secret; the old one opens for a day longer, so that its users can change over.</p>
          <div class="row"><button class="strong" onClick={() => void rotate(turning.value!)}>Rotate it</button><button onClick={() => (turning.value = null)}>Leave it</button></div>
        </Dialog>
      )}
      {ending.value && (
        <Dialog title={`Revoke ${ending.value.name}?`} close={() => (ending.value = null)}>
          <p>Calls with this key fail from now on. This cannot be undone. To change its secret without a gap, rotate it.</p>
          <div class="row"><button class="danger" onClick={() => void revoke(ending.value!)}>Revoke it</button><button onClick={() => (ending.value = null)}>Keep it</button></div>
        </Dialog>
      )}
    </>
  );
}

function Make({ close, done }: { close: () => void; done: (key: NewKey) => void }) {
  const name = useSignal("");
  const scopes = useSignal<string[]>(["submit", "read", "files"]);
  const apps = useSignal<string[]>([]);
  const life = useSignal("");
  const wrong = useSignal("");
  const submit = async (event: Event) => {
    event.preventDefault();
    const json: Record<string, Json> = { name: name.value, scopes: scopes.value };
    if (apps.value.length) json.apps = apps.value;
    if (life.value) json.expires_in = Number(life.value);
    try {
      done(await call<NewKey>("POST", "/api/v1/keys", { json }));
    } catch (error) {
      wrong.value = error instanceof ApiError ? error.message : String(error);
    }
  };
  const toggle = (list: typeof scopes, one: string) => (list.value = list.value.includes(one) ? list.value.filter((other) => other !== one) : [...list.value, one]);
  return (
    <Dialog title="Make a key" close={close}>
      <form class="members" onSubmit={submit}>
        <label class="field">Name, for people <input type="text" autocomplete="off" required maxLength={100} value={name.value} onInput={(event) => (name.value = event.currentTarget.value)} /></label>
        <fieldset class="field"><legend>It may</legend>{SCOPES.map(([scope, says]) => <label key={scope} class="check"><input type="checkbox" checked={scopes.value.includes(scope)} onChange={() => toggle(scopes, scope)} /> <span><strong>{scope}</strong> <span class="dim">{says}</span></span></label>)}</fieldset>
        <fieldset class="field"><legend>For these apps alone (none chosen: any)</legend>{appNames.value.map((app) => <label key={app} class="check"><input type="checkbox" checked={apps.value.includes(app)} onChange={() => toggle(apps, app)} /> {app}</label>)}</fieldset>
        <label class="field">It lives <select value={life.value} onChange={(event) => (life.value = event.currentTarget.value)}>{LIVES.map(([value, text]) => <option key={value} value={value}>{text}</option>)}</select></label>
        {wrong.value && <p class="error" role="alert">{wrong.value}</p>}
        <div><button type="submit" class="strong" disabled={!name.value.trim() || !scopes.value.length}>Make it</button></div>
      </form>
    </Dialog>
  );
}

function Made({ made, close }: { made: NewKey; close: () => void }) {
  return (
    <Dialog title="The new key" close={close}>
      <p>Its secret is shown this once. For a <code>.env</code> file:</p>
      <Command text={`PONDAGE_URL=${origin()}\nPONDAGE_KEY=${made.key}`} />
      <div><button class="strong" onClick={close}>I have it</button></div>
    </Dialog>
  );
}
