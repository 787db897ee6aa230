// The flight recorder's picture: lanes over one time axis, with the same as a table.
import { useSignal } from "@preact/signals";

import { duration } from "../ui/format.ts";
import { type Span, scale } from "./spans.ts";

const W = 1000;
const ROW = 26;
const SAYS: Record<string, string> = { waited: "waited", waiting: "waits", ok: "ok", error: "failed", lost: "lost", cancelled: "cancelled", running: "runs" };

const laneOf = (span: Span): string => (span.lane === "queue" ? "queue" : span.lane === "webhook" ? `webhook${span.n > 1 ? ` ${span.n}` : ""}` : `attempt ${span.n}`);

/** `now`: milliseconds since the submit, for what goes on. */
export function Timeline({ all, now }: { all: Span[]; now: number }) {
  const fold = useSignal(true);
  const { at, folded, end } = scale(all, now, fold.value);
  const lanes = [...new Set(all.map(laneOf))];
  const x = (time: number) => at(Math.max(0, time)) * W;
  const anyFold = scale(all, now, true).folded.length > 0;
  return (
    <figure class="timeline">
      <div class="lanes">
      <ul aria-hidden="true">{lanes.map((lane) => <li key={lane}>{lane}</li>)}</ul>
      <svg viewBox={`0 0 ${W} ${lanes.length * ROW}`} height={lanes.length * ROW} role="img" aria-label={`Time of this request, ${duration(end / 1000)} in all; the table below says the same`} preserveAspectRatio="none">
        <defs>
          <pattern id="hatch" width="8" height="8" patternUnits="userSpaceOnUse"><path d="M0 8L8 0" /></pattern>
        </defs>
        {folded.map(([from, to]) => <rect key={from} class="fold" x={x(from)} y={0} width={x(to) - x(from)} height={lanes.length * ROW} />)}
        {all.map((span, n) => {
          const from = x(span.from);
          const to = Math.max(from + 3, x(span.to ?? now));
          return <rect key={n} class={`span ${span.lane} ${span.state}`} x={from} y={lanes.indexOf(laneOf(span)) * ROW + 5} width={to - from} height={ROW - 10} rx="2"><title>{said(span, now)}</title></rect>;
        })}
      </svg>
      </div>
      <figcaption>
        <div class="axis"><span>0</span><span>{duration(end / 2000)}</span><span>{duration(end / 1000)}</span></div>
        {anyFold && <label class="check"><input type="checkbox" checked={fold.value} onChange={(event) => (fold.value = event.currentTarget.checked)} /> fold quiet stretches</label>}
      </figcaption>
      <div class="scroll" tabIndex={0} role="region" aria-label="Spans">
        <table>
          <thead><tr><th scope="col">What</th><th scope="col">How</th><th scope="col" class="n">From</th><th scope="col" class="n">Took</th><th scope="col">Where, why</th></tr></thead>
          <tbody>
            {all.map((span, n) => (
              <tr key={n}>
                <th scope="row">{laneOf(span)}</th>
                <td><span class={`mark ${span.state}`}>{SAYS[span.state] ?? span.state}</span></td>
                <td class="n">{duration(span.from / 1000)}</td>
                <td class="n">{duration(((span.to ?? now) - span.from) / 1000)}</td>
                <td>{span.label}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  );
}

const said = (span: Span, now: number): string => `${laneOf(span)}: ${SAYS[span.state] ?? span.state}, ${duration(((span.to ?? now) - span.from) / 1000)}. ${span.label}`;
