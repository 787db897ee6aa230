// Operations on many requests: those under way with their progress, to be paused, resumed, undone; the last that ended.
import { signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { ApiError, call, get } from "../api/client.ts";
import type { Operation, Operations } from "../api/types.ts";
import { Time } from "../ui/basics.tsx";
import { time } from "../ui/format.ts";

const EVERY = 1000;

const known = signal<Operation[]>([]);
const stirred = signal(0);

/** Show an operation that this page has just begun. */
export function begun(operation: Operation): void {
  known.value = [operation, ...known.value];
  stirred.value += 1;
}

const alive = (one: Operation): boolean => one.phase === "running" || one.phase === "paused";

export function OperationList() {
  const wrong = useSignal("");
  useEffect(() => {
    let timer = 0;
    let left = false;
    const look = async () => {
      try {
        known.value = (await get<Operations>("/api/v1/operations", { limit: 5 })).items.filter((one) => ["retry", "cancel", "priority"].includes(one.kind));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error; // a key that may do none sees none
        return;
      }
      if (!left && known.value.some(alive)) timer = window.setTimeout(() => void look(), EVERY);
    };
    void look();
    return () => {
      left = true;
      clearTimeout(timer);
    };
  }, [stirred.value]);
  const steer = async (one: Operation, what: string) => {
    wrong.value = "";
    try {
      const now = await call<Operation>("POST", `/api/v1/operations/${one.id}/${what}`);
      known.value = known.value.map((other) => (other.id === now.id ? now : other));
      stirred.value += 1;
    } catch (error) {
      wrong.value = error instanceof Error ? error.message : String(error);
    }
  };
  const shown = known.value.filter((one) => alive(one) || Date.now() - time(one.ended_at) < 600_000).slice(0, 3);
  if (!shown.length) return null;
  return (
    <section class="panel" aria-labelledby="operations">
      <h2 id="operations">Operations</h2>
      {wrong.value && <p class="error" role="alert">{wrong.value}</p>}
      {shown.map((one) => {
        const done = one.changed + one.passed;
        return (
          <div key={one.id} class="operation">
            <strong>{one.name || one.kind}</strong>
            <progress max={Math.max(one.matched, 1)} value={one.phase === "done" ? one.matched : done} aria-label={`Progress of ${one.name || one.kind}`} />
            <span>{one.changed.toLocaleString("en")} of {one.matched.toLocaleString("en")}{one.passed ? `, ${one.passed} left alone` : ""} · {one.phase}</span>
            {one.phase === "running" && <button onClick={() => void steer(one, "pause")}>Pause</button>}
            {one.phase === "paused" && <button onClick={() => void steer(one, "resume")}>Go on</button>}
            {alive(one) && <button class="danger" onClick={() => void steer(one, "undo")}>Undo the rest</button>}
            <span class="dim"><Time at={time(one.at)} /></span>
          </div>
        );
      })}
    </section>
  );
}
