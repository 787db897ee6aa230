// How to call this endpoint from code: made by the server, each text is run by a test.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { ApiError, call } from "../api/client.ts";
import type { Snippet, Snippets } from "../api/types.ts";
import { parse } from "../json/lossless.ts";
import { Command, Failed, Tabs } from "../ui/basics.tsx";
import { remember, remembered } from "../ui/store.ts";

export function Code({ endpoint, input }: { endpoint: string; input: string }) {
  const made = useSignal<Snippet[]>([]);
  const wrong = useSignal<ApiError | null>(null);
  const chosen = useSignal(remembered("language") ?? "python");
  useEffect(() => {
    const leaving = new AbortController();
    const timer = setTimeout(() => {
      let value;
      try {
        value = parse(input);
      } catch {
        return; // half typed: the last text stays
      }
      call<Snippets>("POST", "/api/v1/snippets", { json: { endpoint, input: value }, signal: leaving.signal }).then(
        (answer) => {
          made.value = answer.items;
          wrong.value = null;
        },
        (error: unknown) => {
          if (error instanceof ApiError) wrong.value = error;
        },
      );
    }, 250);
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
  }, [endpoint, input]);
  const shown = made.value.find((one) => one.language === chosen.value) ?? made.value[0];
  return (
    <section class="panel" aria-label="Code">
      {wrong.value && <Failed error={wrong.value} />}
      {made.value.length > 0 && (
        <Tabs
          items={made.value.map((one) => [one.language, one.title] as const)} chosen={shown?.language ?? ""} label="Language"
          choose={(name) => {
            chosen.value = name;
            remember("language", name);
          }}
        />
      )}
      {shown && (
        <>
          {shown.needs && <Command text={shown.needs} />}
          <Command text={shown.code} />
          {shown.note && <p class="dim">{shown.note}</p>}
        </>
      )}
    </section>
  );
}
