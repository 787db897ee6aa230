// Hold an app: pause it, drain it, let it go on, with the reason that its waiting callers are told.
import { useSignal } from "@preact/signals";

import { call } from "../api/client.ts";
import type { App } from "../api/types.ts";
import { loadApps } from "../live/apps.ts";
import { Dialog } from "../ui/basics.tsx";

export function Hold({ app }: { app: App }) {
  const asks = useSignal<"pause" | "drain" | null>(null);
  const reason = useSignal("");
  const wrong = useSignal("");
  const act = async (what: string) => {
    wrong.value = "";
    try {
      await call("POST", `/api/v1/apps/${app.name}/${what}`, { json: { reason: reason.value } });
      asks.value = null;
      reason.value = "";
      await loadApps();
    } catch (error) {
      wrong.value = error instanceof Error ? error.message : String(error);
    }
  };
  return (
    <>
      {app.held ? <button onClick={() => void act("resume")}>Let it go on</button> : (
        <>
          <button aria-label={`Pause ${app.name}`} onClick={() => (asks.value = "pause")}>Pause</button>
          <button aria-label={`Drain ${app.name}`} onClick={() => (asks.value = "drain")}>Drain</button>
        </>
      )}
      {wrong.value && !asks.value && <span class="error" role="alert">{wrong.value}</span>}
      {asks.value && (
        <Dialog title={`${asks.value === "pause" ? "Pause" : "Drain"} ${app.name}?`} close={() => (asks.value = null)}>
          <form class="members" onSubmit={(event) => { event.preventDefault(); void act(asks.value!); }}>
            <p>{asks.value === "pause" ? "Nothing more of it is started; what runs goes on, what comes waits." : "Nothing more of it is started, and its runners leave once they are done."}</p>
            <label class="field">Why, for who waits <input type="text" autocomplete="off" maxLength={500} value={reason.value} onInput={(event) => (reason.value = event.currentTarget.value)} /></label>
            {wrong.value && <p class="error" role="alert">{wrong.value}</p>}
            <div><button type="submit" class="strong">{asks.value === "pause" ? "Pause it" : "Drain it"}</button></div>
          </form>
        </Dialog>
      )}
    </>
  );
}
