// Retry or cancel many: by selection or by filter, as one operation of the server. (The operation comes with its route.)
interface Props {
  query: Record<string, string>;
  chosen: ReadonlySet<string>;
  clear: () => void;
}

export function Bulk({ chosen, clear }: Props) {
  return chosen.size ? <button class="quiet" onClick={clear}>Unselect {chosen.size}</button> : null;
}
