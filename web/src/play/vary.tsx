// A row of runs over one member of the input: the same but for that, then side by side.
import { useSignal } from "@preact/signals";

import { ApiError, call } from "../api/client.ts";
import { changed } from "../form/paths.ts";
import type { FormState } from "../form/state.ts";
import { type Json, isObject, parse, stringify } from "../json/lossless.ts";
import { navigate } from "../router.ts";
import { Dialog } from "../ui/basics.tsx";

const MOST = 12;

/** Values as they are typed: JSON where it is some, else text. Commas part them, or lines where a text has commas. */
export function valuesOf(text: string): Json[] {
  const parts = (text.includes("\n") ? text.split("\n") : text.split(",")).map((one) => one.trim()).filter(Boolean);
  return parts.map((one) => {
    try {
      return parse(one);
    } catch {
      return one;
    }
  });
}

export function Vary({ endpoint, form, close }: { endpoint: string; form: FormState; close: () => void }) {
  const names = form.node.kind === "object" ? form.node.members.filter((member) => !["object", "file", "json"].includes(member.node().kind)).map((member) => member.name) : [];
  const name = useSignal(names.includes("seed") ? "seed" : (names[0] ?? ""));
  const text = useSignal(name.value === "seed" ? "1, 2, 3, 4" : "");
  const says = useSignal("");
  const values = valuesOf(text.value);
  const run = async (event: Event) => {
    event.preventDefault();
    const ids: string[] = [];
    try {
      for (const value of values) {
        const input = changed(isObject(form.value.value) ? form.value.value : {}, [name.value], value) ?? {};
        const receipt = await call<{ request_id: string }>("POST", `/queue/${endpoint}`, { body: stringify(input), headers: { "content-type": "application/json" } });
        ids.push(receipt.request_id);
        says.value = `${ids.length} of ${values.length} submitted`;
      }
      close();
      navigate(`/compare?ids=${ids.join(",")}`);
    } catch (error) {
      says.value = error instanceof ApiError ? error.message : String(error);
    }
  };
  return (
    <Dialog title="A row over one member" close={close}>
      <form class="members" onSubmit={run}>
        <label class="field">Member <select value={name.value} onChange={(event) => (name.value = event.currentTarget.value)}>{names.map((one) => <option key={one}>{one}</option>)}</select></label>
        <label class="field">Values, two to {MOST}, with commas or a line each <textarea rows={4} value={text.value} onInput={(event) => (text.value = event.currentTarget.value)} /></label>
        <p role="status" class={values.length > MOST ? "error" : "dim"}>{says.value || (values.length > MOST ? `${values.length} values; at most ${MOST}` : `${values.length} runs, the same but for ${name.value}`)}</p>
        <div><button type="submit" class="strong" disabled={values.length < 2 || values.length > MOST || !name.value}>Run {values.length}</button></div>
      </form>
    </Dialog>
  );
}
