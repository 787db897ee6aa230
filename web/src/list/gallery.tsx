// Requests by what they made: the media of each output, where it is not too large to look at.
import { useComputed } from "@preact/signals";

import { get } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import type { Request, Requests } from "../api/types.ts";
import { media } from "../media/find.ts";
import { Medium } from "../media/view.tsx";
import { Large, payload } from "../play/run.ts";
import { href } from "../router.ts";
import { Empty, Failed, State } from "../ui/basics.tsx";
import { tail } from "../ui/format.ts";

export function Gallery({ query }: { query: Record<string, string> }) {
  const list = useLoad<Requests>(JSON.stringify(query), (signal) => get("/api/v1/requests", { ...query, outcome: "ok", limit: 40 }, signal));
  const error = list.state.value.error;
  const items = list.value.value?.items ?? [];
  const shown = useComputed(() => items.filter((one) => one.output_bytes > 0 && one.mode !== "session"));
  if (error) return <Failed error={error} retry={list.reload} />;
  if (list.value.value && !items.length) return <Empty title="Nothing to look at"><p>No request that fits ended well.</p></Empty>;
  return <ul class="gallery">{(shown.value.length ? shown.value : items).map((one) => <li key={one.id}><Made request={one} /></li>)}</ul>;
}

function Made({ request }: { request: Request }) {
  const output = useLoad(request.id, () => payload(request.id, "output", request.output_bytes));
  const value = output.value.value;
  const found = value === null || value instanceof Large ? [] : media(value).slice(0, 4);
  return (
    <>
      <div class="made">{found.length ? found.map((one) => <Medium key={one.url} url={one.url} type={one.type} name={one.name} small />) : <span class="dim">{value instanceof Large ? "large output" : "no media"}</span>}</div>
      <a href={href(`/requests/${request.id}`)}>{tail(request.id)}</a> <State state={request.state} outcome={request.outcome} />
    </>
  );
}
