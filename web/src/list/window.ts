// A window on a list that has no end: pages by cursor, at most 400 rows kept, at most 60 drawn.
import { type Signal, signal } from "@preact/signals";

export const ROW = 44;
export const KEPT = 8;
const DRAWN = 56;
/** Rows before the end at which the next page is asked for. */
const AHEAD = 100;

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

interface Piece<T> {
  cursor: string | null;
  items: T[] | null;
  /** Rows it has, also after its items were let go. */
  size: number;
  next: string | null;
}

/** Pages of a list: those near what is seen have their rows, others only their place. */
export class ListWindow<T extends { id: string }> {
  readonly pieces: Signal<Piece<T>[]> = signal([]);
  readonly error: Signal<unknown> = signal(null);
  private readonly load: (cursor: string | null) => Promise<Page<T>>;
  private busy = false;

  constructor(load: (cursor: string | null) => Promise<Page<T>>) {
    this.load = load;
  }

  get size(): number {
    return this.pieces.value.reduce((sum, piece) => sum + piece.size, 0);
  }

  get done(): boolean {
    const last = this.pieces.value.at(-1);
    return last !== undefined && last.next === null;
  }

  /** The rows that are to be drawn for a place of the scroll bar, with the index of the first. */
  drawn(top: number, height: number): { first: number; rows: (T | null)[] } {
    const first = Math.max(0, Math.floor(top / ROW) - 10);
    const count = Math.min(DRAWN, Math.ceil(height / ROW) + 20);
    const rows: (T | null)[] = [];
    let at = 0;
    for (const piece of this.pieces.value) {
      for (let n = Math.max(0, first - at); n < piece.size && at + n < first + count; n++) rows.push(piece.items?.[n] ?? null);
      at += piece.size;
      if (at >= first + count) break;
    }
    return { first, rows };
  }

  /** Load what is seen or will be soon, and let go of what is far away. */
  async seen(top: number, height: number): Promise<void> {
    if (this.busy) return;
    const wanted = this.wanted(top, height);
    if (!wanted) return;
    this.busy = true;
    try {
      const page = await this.load(wanted.cursor);
      this.put(wanted, page, Math.floor(top / ROW));
      this.error.value = null;
    } catch (error) {
      this.error.value = error;
      return;
    } finally {
      this.busy = false;
    }
    await this.seen(top, height);
  }

  private wanted(top: number, height: number): Piece<T> | null {
    const pieces = this.pieces.value;
    if (!pieces.length) return { cursor: null, items: null, size: 0, next: null };
    let at = 0;
    for (const piece of pieces) {
      const seen = (at + piece.size) * ROW > top - height && at * ROW < top + 2 * height;
      if (seen && !piece.items) return piece;
      at += piece.size;
    }
    const last = pieces.at(-1);
    // The next page is on its way before the end is seen, but not further ahead than what is kept.
    if (last?.next && top + height > (at - AHEAD) * ROW) return { cursor: last.next, items: null, size: 0, next: null };
    return null;
  }

  private put(piece: Piece<T>, page: Page<T>, near: number): void {
    const fresh: Piece<T> = { cursor: piece.cursor, items: page.items, size: piece.size || page.items.length, next: page.next_cursor };
    const pieces = [...this.pieces.value];
    const known = pieces.indexOf(piece);
    if (known >= 0) pieces[known] = fresh;
    else pieces.push(fresh);
    let at = 0;
    const places = pieces.map((one) => (at += one.size) - one.size / 2);
    const held = pieces.flatMap((one, n) => (one.items ? [n] : [])).sort((a, b) => Math.abs((places[a] ?? 0) - near) - Math.abs((places[b] ?? 0) - near));
    for (const n of held.slice(KEPT)) pieces[n] = { ...pieces[n]!, items: null };
    this.pieces.value = pieces;
  }

  /** Change rows that are here already; the number of rows that are new is returned. */
  change(rows: T[]): number {
    const fresh = new Map(rows.map((row) => [row.id, row]));
    let touched = false;
    const pieces = this.pieces.value.map((piece) => {
      if (!piece.items?.some((row) => fresh.has(row.id))) return piece;
      touched = true;
      const items = piece.items.map((row) => {
        const now = fresh.get(row.id);
        fresh.delete(row.id);
        return now ?? row;
      });
      return { ...piece, items };
    });
    if (touched) this.pieces.value = pieces;
    const newest = this.pieces.value[0]?.items?.[0]?.id ?? "";
    return rows.filter((row) => fresh.has(row.id) && row.id > newest).length;
  }
}
