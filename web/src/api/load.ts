// Data that a page shows: loaded, kept on screen while it is loaded again, with its age and its error.
import { signal, useComputed, useSignal, type Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { ApiError } from "./client.ts";

export interface Loaded<T> {
  value: T | null;
  error: ApiError | null;
  busy: boolean;
  at: number;
}

export interface Loading<T> {
  state: Signal<Loaded<T>>;
  value: { readonly value: T | null };
  reload: () => void;
  /** Put in what came another way: by the live socket, by an answer. */
  set: (value: T) => void;
}

const epoch = signal(0);

/** Everything on screen is loaded again, as after a sign-in. */
export const again = () => (epoch.value += 1);

/** Load by `fetch`, again whenever `key` changes; what is on screen stays until the new is there. */
export function useLoad<T>(key: string, fetch: (signal: AbortSignal) => Promise<T>): Loading<T> {
  const state = useSignal<Loaded<T>>({ value: null, error: null, busy: true, at: 0 });
  const turn = useSignal(0);
  useEffect(() => {
    const leaving = new AbortController();
    state.value = { ...state.value, busy: true };
    fetch(leaving.signal).then(
      (value) => !leaving.signal.aborted && (state.value = { value, error: null, busy: false, at: Date.now() }),
      (error: unknown) => {
        if (leaving.signal.aborted) return;
        const known = error instanceof ApiError ? error : new ApiError(-1, `The page failed: ${String(error)}`, null);
        state.value = { ...state.value, error: known, busy: false };
      },
    );
    return () => leaving.abort();
  }, [key, turn.value, epoch.value]);
  const value = useComputed(() => state.value.value);
  return {
    state, value,
    reload: () => (turn.value += 1),
    set: (fresh) => (state.value = { value: fresh, error: null, busy: false, at: Date.now() }),
  };
}
