// A live list in a page: loaded at once by HTTP, then as the socket tells.
import { useEffect } from "preact/hooks";

import { get } from "../api/client.ts";
import { type Loading, useLoad } from "../api/load.ts";
import { follow } from "./socket.ts";

/** Rows of a topic, and of the address that answers the same. */
export function useTopic<T>(topic: string, address: string): Loading<T[]> {
  const loading = useLoad<T[]>(topic, async (signal) => (await get<{ items: T[] }>(address, {}, signal)).items);
  useEffect(
    () =>
      follow(topic, {
        rows: (rows) => loading.set(rows as unknown as T[]),
        error: (error) => (loading.state.value = { ...loading.state.value, error, busy: false }),
      }),
    [topic],
  );
  return loading;
}
