// A request's log lines: the newest of them in the page, however many there are.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import type { RequestEvent } from "../api/types.ts";
import { clock, count } from "../ui/format.ts";

const SHOWN = 500;

export function Logs({ lines }: { lines: RequestEvent[] }) {
  const most = useSignal(SHOWN);
  const wanted = useSignal("");
  const place = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const text = wanted.value.toLowerCase();
  const fitting = text ? lines.filter((line) => (line.message ?? "").toLowerCase().includes(text)) : lines;
  const shown = fitting.slice(-most.value);
  useEffect(() => {
    if (follows.current && place.current) place.current.scrollTop = place.current.scrollHeight;
  }, [fitting.length]);
  if (!lines.length) return <p class="dim">No log lines. What an app prints appears here.</p>;
  return (
    <div class="logs">
      {lines.length > 20 && (
        <div class="row"><input type="text" aria-label="Lines that contain" placeholder="contains…" value={wanted.value} onInput={(event) => (wanted.value = event.currentTarget.value)} /><span class="dim">{count(fitting.length, "line")}</span></div>
      )}
      {fitting.length > shown.length && <button type="button" onClick={() => (most.value += SHOWN)}>{count(fitting.length - shown.length, "earlier line")}: show {SHOWN} more</button>}
      <div
        ref={place} class="log-lines" {...LOG} aria-live="off" aria-label="Log" tabIndex={0}
        onScroll={(event) => (follows.current = event.currentTarget.scrollTop + event.currentTarget.clientHeight >= event.currentTarget.scrollHeight - 8)}
      >
        {shown.map((line) => (
          <div key={line.n} class={`log ${(line.level ?? "").toLowerCase()}`}>
            <span class="at">{clock(Date.parse(line.at), true)}</span> <span class="level">{line.level}</span> <span class="message">{line.message}</span>
          </div>
        ))}
      </div>
    </div>
  );
}

const LOG = { role: "log" as const };
