// A line over time, drawn here; its numbers are a table as well.
interface Props {
  values: number[];
  label: string;
  unit: (value: number) => string;
}

const W = 300;
const H = 48;

export function Line({ values, label, unit }: Props) {
  const top = Math.max(...values) || 1;
  const step = W / Math.max(values.length - 1, 1);
  const points = values.map((value, n) => `${(n * step).toFixed(1)},${(H - (value / top) * (H - 4)).toFixed(1)}`).join(" ");
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return (
    <figure class="chart">
      <figcaption>{label}: {unit(values.at(-1) ?? 0)} <span class="dim">p50 {unit(at(0.5))} · p90 {unit(at(0.9))}</span></figcaption>
      <svg viewBox={`0 0 ${W} ${H}`} preserveAspectRatio="none" role="img" aria-label={`${label}, ${values.length} values, p50 ${unit(at(0.5))}, p90 ${unit(at(0.9))}`}>
        <polyline points={points} />
      </svg>
    </figure>
  );
}
