// A small line without axes; what it says is in its label.
const W = 90;
const H = 20;

export function Spark({ values, label }: { values: number[]; label: string }) {
  const top = Math.max(1, ...values);
  const step = W / Math.max(values.length - 1, 1);
  const points = values.map((value, n) => `${(n * step).toFixed(1)},${(H - 1 - (value / top) * (H - 3)).toFixed(1)}`).join(" ");
  return <svg class="spark" width={W} height={H} viewBox={`0 0 ${W} ${H}`} role="img" aria-label={label}><polyline points={points} /></svg>;
}
