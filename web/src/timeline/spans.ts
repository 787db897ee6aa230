// Where a request's time went: its log and its deliveries as spans. `pondage requests show` has the same function in Python
// (src/pondage/cli/spans.py); tests/web/spans.json holds both to the same answers.
import type { Delivery, Request, RequestEvent } from "../api/types.ts";

export interface Span {
  lane: "queue" | "attempt" | "webhook";
  /** Which wait, attempt or delivery. */
  n: number;
  /** Whole milliseconds since the submit. */
  from: number;
  /** None while it goes on. */
  to: number | null;
  state: string;
  label: string;
}

type Known = Pick<Request, "submitted_at">;

export function spans(request: Known, events: RequestEvent[], deliveries: Pick<Delivery, "log">[]): Span[] {
  const zero = Date.parse(request.submitted_at);
  const waits: Span[] = [];
  const attempts: Span[] = [];
  let waiting: number | null = 0;
  let running: Span | null = null;
  for (const event of events) {
    const at = Date.parse(event.at) - zero;
    if (event.kind === "started") {
      if (waiting !== null) waits.push({ lane: "queue", n: waits.length + 1, from: waiting, to: at, state: "waited", label: "" });
      waiting = null;
      running = { lane: "attempt", n: event.attempt, from: at, to: null, state: "running", label: event.runner ?? "" };
      attempts.push(running);
    } else if (event.kind === "retried") {
      if (running) Object.assign(running, { to: at, state: "lost", label: `${running.label}: ${event.reason ?? ""}` });
      running = null;
      waiting = at;
    } else if (event.kind === "completed") {
      const state = event.outcome ?? "";
      if (running) Object.assign(running, { to: at, state });
      else if (waiting !== null) waits.push({ lane: "queue", n: waits.length + 1, from: waiting, to: at, state, label: event.error ?? "" });
      running = null;
      waiting = null;
    }
  }
  if (waiting !== null) waits.push({ lane: "queue", n: waits.length + 1, from: waiting, to: null, state: "waiting", label: "" });
  return [...waits, ...attempts, ...tries(deliveries, zero)];
}

function tries(deliveries: Pick<Delivery, "log">[], zero: number): Span[] {
  return deliveries.flatMap((delivery, n) =>
    (delivery.log ?? []).map((entry): Span => {
      const from = Date.parse(entry.at) - zero;
      const good = entry.status !== null && entry.status >= 200 && entry.status < 300;
      const label = entry.status ? `${entry.status} ${entry.reason ?? ""}`.trim() : (entry.reason ?? "");
      return { lane: "webhook", n: n + 1, from, to: from + Math.round(entry.duration * 1000), state: good ? "ok" : "error", label };
    }),
  );
}

/** Quiet stretches taken out, so that a wait of hours leaves room for the rest: real time to place, from 0 to 1. */
export function scale(all: Span[], now: number, fold: boolean): { at: (time: number) => number; folded: [number, number][]; end: number } {
  const end = Math.max(1, ...all.map((span) => span.to ?? now));
  const edges = [...new Set([0, end, ...all.flatMap((span) => [span.from, Math.min(span.to ?? end, end)])])].filter((t) => t >= 0).sort((a, b) => a - b);
  const busy = (from: number, to: number) => all.some((span) => span.lane !== "queue" && span.from < to && (span.to ?? end) > from);
  const pieces: { from: number; to: number; width: number; folded: boolean }[] = [];
  for (let n = 1; n < edges.length; n++) {
    const [from, to] = [edges[n - 1] ?? 0, edges[n] ?? 0];
    const long = fold && to - from > end * 0.25 && !busy(from, to);
    pieces.push({ from, to, width: long ? end * 0.06 : to - from, folded: long });
  }
  const whole = pieces.reduce((sum, piece) => sum + piece.width, 0) || 1;
  const at = (time: number): number => {
    let place = 0;
    for (const piece of pieces) {
      if (time >= piece.to) place += piece.width;
      else return (place + (Math.max(0, time - piece.from) / (piece.to - piece.from)) * piece.width) / whole;
    }
    return Math.min(1, place / whole);
  };
  return { at, folded: pieces.filter((piece) => piece.folded).map((piece) => [piece.from, piece.to]), end };
}
