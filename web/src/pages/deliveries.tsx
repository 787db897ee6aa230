// Webhooks: deliveries with their tries, replay, and checking a signature by hand.
import { useSignal } from "@preact/signals";

import { ApiError, call, get } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import type { Deliveries, Delivery } from "../api/types.ts";
import { useTopic } from "../live/topic.ts";
import { origin } from "../place.ts";
import { address, href, setQuery } from "../router.ts";
import { Command, Dialog, Empty, Failed, Head, Time } from "../ui/basics.tsx";
import { duration, tail, time } from "../ui/format.ts";
import type { PageProps } from "../ui/frame.tsx";
import { announce } from "../ui/live-region.ts";
import { Icon } from "../ui/icons.tsx";
import { DeliveryTries } from "./request.tsx";
import { Verify } from "../play/verify.tsx";

const SAYS: Record<string, [string, string]> = { owed: ["waiting", "owed"], done: ["ok", "delivered"], dead: ["error", "given up"] };

export default function DeliveriesPage(_: PageProps) {
  const state = address.value.query.get("state") ?? "";
  const shown = address.value.query.get("id");
  const query = state ? `state=${state}&limit=100` : "limit=100";
  const list = useTopic<Delivery>(`deliveries?${query}`, `/api/v1/webhooks/deliveries?${query}`);
  const older = useSignal<Delivery[]>([]);
  const end = useSignal(false);
  const verifying = useSignal(false);
  const wrong = useSignal("");
  const first = list.value.value ?? [];
  const known = new Set(first.map((one) => one.id));
  const rows = [...first, ...older.value.filter((one) => !known.has(one.id))];
  const error = list.state.value.error;
  const act = async (work: () => Promise<string>) => {
    wrong.value = "";
    try {
      announce(await work());
    } catch (failed) {
      wrong.value = failed instanceof Error ? failed.message : String(failed);
    }
  };
  const replay = (one: Delivery) => act(async () => (await call("POST", `/api/v1/webhooks/deliveries/${one.id}/replay`), "owed again"));
  const more = () => act(async () => {
    // The first page has no cursor of its own here: it came by the socket.
    const page = await get<Deliveries>("/api/v1/webhooks/deliveries", { ...(state ? { state } : {}), limit: 200, until: Date.parse(rows.at(-1)?.created_at ?? "") / 1000 });
    older.value = [...older.value, ...page.items];
    end.value = page.next_cursor === null;
    return "";
  });
  return (
    <>
      <Head title="Webhooks">
        <span class="grow" />
        <label>State <select value={state} onChange={(event) => { older.value = []; setQuery({ state: event.currentTarget.value }); }}><option value="">any</option><option value="owed">owed</option><option value="done">delivered</option><option value="dead">given up</option></select></label>
        <button onClick={() => (verifying.value = true)}>Check a signature</button>
      </Head>
      {error && <Failed error={error} retry={list.reload} />}
      {wrong.value && <p class="error" role="alert">{wrong.value}</p>}
      <Targets rows={rows} />
      {list.value.value && !rows.length && <Empty title="No deliveries"><p>A request with <code>fal_webhook</code> is told about here. To watch them arrive on this machine:</p><Command text={`pondage webhooks listen --server ${origin()}`} /></Empty>}
      {rows.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Deliveries">
          <table>
            <thead><tr><th scope="col">State</th><th scope="col">Target</th><th scope="col">Event</th><th scope="col">Request</th><th scope="col" class="n">Tries</th><th scope="col">Last answer</th><th scope="col">When</th><th scope="col">Do</th></tr></thead>
            <tbody>
              {rows.map((one) => {
                const [mark, says] = SAYS[one.state] ?? ["waiting", one.state];
                return (
                  <tr key={one.id}>
                    <td><span class={`mark ${mark}`}><Icon name={mark === "ok" ? "ok" : mark === "error" ? "error" : "queued"} /> {says}</span></td>
                    <td>{one.url}</td>
                    <td>{one.event}</td>
                    <td><a href={href(`/requests/${one.request_id}?tab=webhook`)}>{tail(one.request_id)}</a></td>
                    <td class="n">{one.tries}</td>
                    <td>{one.last_status ?? ""} {one.last_reason ?? ""}{one.due_at && <span class="dim"> · next <Time at={time(one.due_at)} /></span>}{one.held && <span class="hint"> · its host is left alone for {duration(one.held.seconds)}</span>}</td>
                    <td><Time at={time(one.created_at)} /></td>
                    <td><button class="quiet" aria-label={`Tries of ${tail(one.request_id)}`} onClick={() => setQuery({ id: one.id }, { push: true })}>Tries</button> <button class="quiet" aria-label={`Replay ${tail(one.request_id)}`} onClick={() => void replay(one)}>Replay</button></td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {rows.length >= 100 && !end.value && <button onClick={() => void more()}>Older</button>}
      {shown && <Tries id={shown} />}
      {verifying.value && <Dialog title="Check a signature" close={() => (verifying.value = false)}><Verify /></Dialog>}
    </>
  );
}

/** How each target has fared among the deliveries that are listed. */
function Targets({ rows }: { rows: Delivery[] }) {
  const targets = new Map<string, Delivery[]>();
  for (const one of rows) targets.set(one.url, [...(targets.get(one.url) ?? []), one]);
  if (targets.size < 1) return null;
  return (
    <ul class="cards">
      {[...targets].slice(0, 8).map(([url, some]) => {
        const done = some.filter((one) => one.state === "done").length;
        const bad = some.find((one) => one.state !== "done" && one.last_reason);
        return <li key={url}><strong>{url}</strong><p>{done} of {some.length} arrived</p>{bad && <p class="hint">last failure: {bad.last_status ?? ""} {bad.last_reason}</p>}</li>;
      })}
    </ul>
  );
}

function Tries({ id }: { id: string }) {
  const found = useLoad<Delivery>(id, (signal) => get(`/api/v1/webhooks/deliveries/${id}`, {}, signal));
  const error = found.state.value.error;
  return (
    <Dialog title="Tries" close={() => setQuery({ id: null })}>
      {error && <Failed error={error instanceof ApiError ? error : new ApiError(-1, String(error), null)} />}
      {found.value.value && <DeliveryTries delivery={found.value.value} />}
    </Dialog>
  );
}
