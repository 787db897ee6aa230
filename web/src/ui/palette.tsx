// Ctrl+K: pages, apps, actions, and any request by its id.
import { useComputed, useSignal } from "@preact/signals";

import { appNames } from "../live/apps.ts";
import { navigate } from "../router.ts";
import { Dialog } from "./basics.tsx";
import { actions, singleKeys } from "./keys.ts";

interface Offer {
  says: string;
  hint: string;
  run: () => void;
}

const COMBOBOX = { role: "combobox" as const, list: undefined };
const ID = /^[0-9a-f-]{6,40}$/i;

/** Whether a text looks like a request's id, or the end of one. */
export const looksLikeId = (text: string): boolean => ID.test(text) && /\d/.test(text);

export function Palette({ close }: { close: () => void }) {
  const text = useSignal("");
  const at = useSignal(0);
  const offers = useComputed<Offer[]>(() => {
    const wanted = text.value.trim().toLowerCase();
    const found: Offer[] = [];
    if (looksLikeId(wanted)) found.push({ says: `Request ${wanted}`, hint: "open", run: () => navigate(`/requests/${wanted}`) });
    for (const name of appNames.value) found.push({ says: name, hint: "playground", run: () => navigate(`/apps/${name}`) });
    for (const one of actions.value) found.push({ says: one.says, hint: one.keys, run: one.run });
    return found.filter((one) => one.says.toLowerCase().includes(wanted)).slice(0, 12);
  });
  const take = (offer: Offer | undefined) => {
    if (!offer) return;
    close();
    offer.run();
  };
  const key = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step) {
      event.preventDefault();
      at.value = (at.value + step + offers.value.length) % Math.max(offers.value.length, 1);
    } else if (event.key === "Enter") {
      event.preventDefault();
      take(offers.value[at.value]);
    }
  };
  return (
    <Dialog title="Go to" close={close}>
      <input
        type="text" {...COMBOBOX} aria-label="Page, app, action or request id" aria-expanded="true" aria-controls="offers"
        aria-activedescendant={offers.value.length ? `offer-${at.value}` : undefined} data-focus value={text.value}
        placeholder="Page, app, action or request id" onKeyDown={key}
        onInput={(event) => {
          text.value = event.currentTarget.value;
          at.value = 0;
        }}
      />
      <ul id="offers" role="listbox" aria-label="What fits" class="offers">
        {offers.value.map((offer, n) => (
          <li key={offer.says} id={`offer-${n}`} role="option" aria-selected={n === at.value} onClick={() => take(offer)}>
            <span>{offer.says}</span> <kbd>{offer.hint}</kbd>
          </li>
        ))}
      </ul>
      {!offers.value.length && <p class="dim">Nothing fits. A request can be opened by its id, or the end of it.</p>}
    </Dialog>
  );
}

export function Sheet({ close }: { close: () => void }) {
  return (
    <Dialog title="Keyboard" close={close}>
      <table class="keys">
        <tbody>
          {actions.value.filter((one) => one.keys).map((one) => (
            <tr key={one.keys}>
              <th scope="row"><kbd>{one.keys}</kbd></th>
              <td>{one.says}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <label class="check">
        <input type="checkbox" checked={singleKeys.value} onChange={(event) => (singleKeys.value = event.currentTarget.checked)} />
        Single keys (without Ctrl)
      </label>
    </Dialog>
  );
}
