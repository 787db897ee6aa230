// How times, sizes and ids are said.
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  const s = Math.max(seconds, 0);
  if (s < 0.0995) return `${Math.round(s * 1000)} ms`;
  if (s < 10) return `${s.toFixed(2)} s`;
  if (s < 60) return `${s.toFixed(1)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

export function bytes(size: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let n = 0;
  for (; size >= 1000 && n < units.length - 1; n++) size /= 1000;
  return `${n && size < 10 ? size.toFixed(1) : Math.round(size)} ${units[n]}`;
}

export function ago(at: number, now = Date.now()): string {
  const s = (now - at) / 1000;
  if (s < 0 && s > -5) return "now";
  if (s < 0) return `in ${duration(-s)}`;
  if (s < 5) return "now";
  if (s < 60) return `${Math.floor(s)} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86_400)} d ago`;
}

export function clock(at: number, fractions = false): string {
  const date = new Date(at);
  const two = (n: number) => String(n).padStart(2, "0");
  const text = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return fractions ? `${text}.${String(date.getMilliseconds()).padStart(3, "0")}` : text;
}

/** Local and UTC, for the tooltip of a relative time. */
export const exactly = (at: number): string => `${new Date(at).toLocaleString()} · ${new Date(at).toISOString()}`;

/** The end of an id, by which people tell them apart. */
export const tail = (id: string): string => (id.length > 10 ? `…${id.slice(-8)}` : id);

export const count = (n: number, one: string, many = `${one}s`): string => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

export const time = (iso: string | null | undefined): number => (iso ? Date.parse(iso) : NaN);
