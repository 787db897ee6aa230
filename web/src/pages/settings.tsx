// Settings: every value and where it comes from; who is signed in; what the pages are made of.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { get } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import type { Settings } from "../api/types.ts";
import { stringify } from "../json/lossless.ts";
import { build } from "../place.ts";
import { Failed, Head, Time } from "../ui/basics.tsx";
import { time } from "../ui/format.ts";
import type { PageProps } from "../ui/frame.tsx";
import { singleKeys } from "../ui/keys.ts";
import { session, signOut, whoAmI } from "../ui/signing.tsx";

export default function SettingsPage(_: PageProps) {
  const list = useLoad<Settings>("settings", (signal) => get("/api/v1/settings", {}, signal));
  const text = useSignal("");
  const changed = useSignal(false);
  useEffect(() => void whoAmI(), []);
  const error = list.state.value.error;
  const items = (list.value.value?.items ?? []).filter((one) => (!changed.value || one.source !== "default") && one.name.includes(text.value.trim().toLowerCase()));
  const who = session.value;
  return (
    <>
      <Head title="Settings" />
      {who && (
        <section class="panel" aria-labelledby="who">
          <h2 id="who">Who you are</h2>
          {who.open ? <p>This server is open: whoever is on this machine may do everything.</p> : who.signed_in ? (
            <div class="row">
              <p>{who.key ? <>Key <strong>{who.name ?? who.key}</strong> ({who.scopes.join(", ")}{who.apps ? `; for ${who.apps.join(", ")}` : ""})</> : "A person of this server's machine, by a link: you may do everything."}{who.expires_at && <span class="dim"> · signed in until <Time at={time(who.expires_at)} />, longer while you use it</span>}</p>
              <button onClick={() => void signOut()}>Sign out</button>
            </div>
          ) : <p>Nobody is signed in.</p>}
        </section>
      )}
      <section class="panel" aria-labelledby="browser">
        <h2 id="browser">This browser</h2>
        <label class="check"><input type="checkbox" checked={singleKeys.value} onChange={(event) => (singleKeys.value = event.currentTarget.checked)} /> Single keys as shortcuts (<kbd>?</kbd> lists them)</label>
        <p class="dim">Pages of build {build || "development"}. They hold Preact and signals (MIT); nothing is loaded from elsewhere.</p>
      </section>
      <section class="panel" aria-labelledby="server">
        <div class="row"><h2 id="server">This server</h2><span class="grow" /><label class="check"><input type="checkbox" checked={changed.value} onChange={(event) => (changed.value = event.currentTarget.checked)} /> only what is set</label></div>
        <p class="dim">Read only: they are set by flags, <code>PONDAGE_…</code> variables, or <code>pondage.toml</code>, at the start.</p>
        {error && <Failed error={error} retry={list.reload} />}
        <input type="text" aria-label="Settings whose name contains" placeholder="name contains…" value={text.value} onInput={(event) => (text.value = event.currentTarget.value)} />
        <div class="scroll" tabIndex={0} role="region" aria-label="Settings">
          <table>
            <thead><tr><th scope="col">Setting</th><th scope="col">Value</th><th scope="col">From</th></tr></thead>
            <tbody>{items.map((one) => <tr key={one.name}><th scope="row"><code>{one.name}</code></th><td><code>{stringify(one.value)}</code></td><td>{one.source}</td></tr>)}</tbody>
          </table>
        </div>
      </section>
    </>
  );
}
