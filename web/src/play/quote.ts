// What a run would wait and take, by what the app's last requests did; asked again when the input or the line changes.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { ApiError, call } from "../api/client.ts";
import type { Quote } from "../api/types.ts";
import { parse } from "../json/lossless.ts";
import { duration } from "../ui/format.ts";

const DEBOUNCE = 400;
const LARGEST = 64 * 1024;

export function useQuote(app: string, path: string, input: string, line: number): Signal<Quote | null> {
  const quote = useSignal<Quote | null>(null);
  useEffect(() => {
    const leaving = new AbortController();
    const timer = setTimeout(() => {
      let value = null;
      try {
        value = input.length > LARGEST ? {} : parse(input);
      } catch {
        return; // half typed: the last answer stays
      }
      call<Quote>("POST", `/api/v1/apps/${app}/quote`, { json: { path, input: value }, signal: leaving.signal }).then(
        (answer) => (quote.value = answer),
        (error: unknown) => {
          if (error instanceof ApiError) quote.value = null; // no estimate; the run itself says what is wrong
        },
      );
    }, DEBOUNCE);
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
  }, [app, path, input, line]);
  return quote;
}

/** In the run button: when the result would be there. */
export function inWords(quote: Quote | null): string {
  const end = quote?.expected?.end;
  return end ? `~${duration(end.p50)} (p90 ${duration(end.p90)})` : "";
}
