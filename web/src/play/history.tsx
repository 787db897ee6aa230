// What this endpoint ran lately: open again, run again, compare inputs.
import { useSignal } from "@preact/signals";

import type { Request } from "../api/types.ts";
import type { Json } from "../json/lossless.ts";
import { Differences } from "../json/tree.tsx";
import { useTopic } from "../live/topic.ts";
import { Dialog, State, Time } from "../ui/basics.tsx";
import { duration, tail, time } from "../ui/format.ts";
import { Large, payload } from "./run.ts";

interface Props {
  app: string;
  path: string;
  current: string;
  value: () => Json;
  open: (id: string) => void;
  fill: (input: Json) => void;
  compare: (ids: string[]) => void;
}

export function History({ app, path, current, value, open, fill, compare }: Props) {
  const list = useTopic<Request>(`requests?app=${app}&limit=40`, `/api/v1/requests?app=${encodeURIComponent(app)}&limit=40`);
  const diff = useSignal<[Json, Json, string] | null>(null);
  const chosen = useSignal<string[]>([]);
  const wrong = useSignal("");
  const shown = (list.value.value ?? []).filter((one) => one.path === path && one.mode !== "session").slice(0, 20);
  if (!shown.length) return null;
  const input = async (request: Request): Promise<Json | null> => {
    const found = request.input_bytes ? await payload(request.id, "input", request.input_bytes) : {};
    if (found instanceof Large) {
      wrong.value = "That input is too large for the form.";
      return null;
    }
    return found;
  };
  const load = async (request: Request, then: (value: Json) => void) => {
    wrong.value = "";
    try {
      const found = await input(request);
      if (found !== null) then(found);
    } catch (error) {
      wrong.value = error instanceof Error ? error.message : String(error);
    }
  };
  const mark = (id: string) => (chosen.value = chosen.value.includes(id) ? chosen.value.filter((one) => one !== id) : [...chosen.value, id].slice(-12));
  return (
    <section class="panel history" aria-labelledby="history">
      <div class="row"><h2 id="history">History</h2><span class="grow" />{chosen.value.length > 1 && <button type="button" onClick={() => compare(chosen.value)}>Compare {chosen.value.length}</button>}</div>
      {wrong.value && <p class="error" role="alert">{wrong.value}</p>}
      <ul class="rows">
        {shown.map((one) => (
          <li key={one.id} aria-current={one.id === current || undefined}>
            <input type="checkbox" aria-label={`Choose ${tail(one.id)} for comparing`} checked={chosen.value.includes(one.id)} onChange={() => mark(one.id)} />
            <State state={one.state} outcome={one.outcome} />
            <button type="button" class="quiet" onClick={() => open(one.id)} title="Show it here">{tail(one.id)}</button>
            <Time at={time(one.submitted_at)} />
            <span class="dim">{one.finished_at && one.started_at ? duration((time(one.finished_at) - time(one.started_at)) / 1000) : ""}</span>
            <span class="grow" />
            <button type="button" class="quiet" onClick={() => void load(one, fill)} aria-label={`Use input of ${tail(one.id)}`}>Use input</button>
            <button type="button" class="quiet" onClick={() => void load(one, (before) => (diff.value = [before, value(), tail(one.id)]))} aria-label={`Diff of ${tail(one.id)} and the form`}>Diff</button>
          </li>
        ))}
      </ul>
      {diff.value && <Dialog title="Inputs compared" close={() => (diff.value = null)}><Differences before={diff.value[0]} after={diff.value[1]} names={[diff.value[2], "the form"]} /></Dialog>}
    </section>
  );
}
