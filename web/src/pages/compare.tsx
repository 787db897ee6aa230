// Results beside each other: a grid, two with one zoom, one over the other with a slider, or blinking; what differs on top.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { useLoad } from "../api/load.ts";
import type { Request } from "../api/types.ts";
import { type Json, stringify } from "../json/lossless.ts";
import { differences } from "../json/tree.tsx";
import { type Found, media } from "../media/find.ts";
import { Medium, ours } from "../media/view.tsx";
import { Value } from "../play/result.tsx";
import { Large, payload, wholeRequest } from "../play/run.ts";
import { address, href, setQuery } from "../router.ts";
import { Empty, Failed, Head, State, Tabs } from "../ui/basics.tsx";
import { duration, tail, time } from "../ui/format.ts";
import type { PageProps } from "../ui/frame.tsx";
import { useActions } from "../ui/keys.ts";

interface Side {
  request: Request;
  input: Json;
  output: Json | Large;
  picture: Found | null;
}

const MOST = 12;

async function side(id: string): Promise<Side> {
  const request = await wholeRequest(id);
  const [input, output] = await Promise.all([
    request.input_bytes ? payload(id, "input", request.input_bytes) : null,
    request.output_bytes ? payload(id, "output", request.output_bytes) : null,
  ]);
  const picture = output instanceof Large ? null : (media(output).find((one) => one.type.startsWith("image/") && ours(one.url)) ?? null);
  return { request, input: input instanceof Large ? input.head : input, output, picture };
}

export default function Compare(_: PageProps) {
  const ids = (address.value.query.get("ids") ?? "").split(",").filter(Boolean).slice(0, MOST);
  const loaded = useLoad<Side[]>(ids.join(","), () => Promise.all(ids.map(side)));
  const sides = loaded.value.value;
  const error = loaded.state.value.error;
  const open = sides?.some((one) => one.request.state !== "COMPLETED") ?? false;
  useEffect(() => {
    if (!open) return;
    const timer = setTimeout(loaded.reload, 1000);
    return () => clearTimeout(timer);
  }, [open, sides]);
  if (ids.length < 2) return <><Head title="Compare" /><Empty title="Two to twelve requests"><p>Choose them on the <a href={href("/requests")}>Requests</a> page (<kbd>x</kbd>), or in the history of a playground.</p></Empty></>;
  if (error && !sides) return <><Head title="Compare" /><Failed error={error} retry={loaded.reload} /></>;
  if (!sides) return <><Head title="Compare" /><p class="dim" aria-busy="true">Loading…</p></>;
  return <Shown sides={sides} />;
}

function Shown({ sides }: { sides: Side[] }) {
  const pictures = sides.every((one) => one.picture);
  const view = address.value.query.get("view") ?? "grid";
  const items: [string, string][] = [["grid", "Grid"]];
  if (pictures) items.push(["side", "Side by side"]);
  if (pictures && sides.length === 2) items.push(["slider", "Slider"]);
  if (pictures) items.push(["blink", "Blink"]);
  const chosen = items.some(([name]) => name === view) ? view : "grid";
  return (
    <>
      <Head title={`Compare ${sides.length}`}><span class="grow" />{sides.length > 2 && <span class="dim">differences are against the first</span>}</Head>
      <Inputs sides={sides} />
      <Tabs items={items} chosen={chosen} choose={(name) => setQuery({ view: name === "grid" ? null : name }, { push: true })} label="View" />
      {chosen === "grid" && <div class="compare-grid">{sides.map((one) => <section class="panel" key={one.request.id} aria-label={`Result of ${tail(one.request.id)}`}><Caption one={one} />{one.request.state !== "COMPLETED" ? <p class="dim" aria-busy="true">Not done yet.</p> : one.output instanceof Large ? <p>large output</p> : <Value value={one.output} />}</section>)}</div>}
      {chosen === "side" && <SideBySide sides={sides} />}
      {chosen === "slider" && <Slider before={sides[0]!} after={sides[1]!} />}
      {chosen === "blink" && <Blink sides={sides} />}
    </>
  );
}

function Caption({ one }: { one: Side }) {
  const { request } = one;
  return <p class="row"><State state={request.state} outcome={request.outcome} /><a href={href(`/requests/${request.id}`)}>{tail(request.id)}</a><span class="dim">{request.started_at && request.finished_at ? duration((time(request.finished_at) - time(request.started_at)) / 1000) : ""}</span></p>;
}

/** One row for each place in which any input differs from the first. */
function Inputs({ sides }: { sides: Side[] }) {
  const first = sides[0]!;
  const places = [...new Set(sides.slice(1).flatMap((one) => differences(first.input, one.input).map((found) => found.place)))];
  if (!places.length) return <p class="dim">The inputs are the same.</p>;
  const text = (one: Side, place: string): string => {
    const found = sides.slice(1).map((other) => differences(first.input, other.input).find((difference) => difference.place === place)).find(Boolean);
    const own = one === first ? found?.before : differences(first.input, one.input).find((difference) => difference.place === place)?.after ?? found?.before;
    return own === undefined ? "left out" : stringify(own).slice(0, 200);
  };
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Inputs that differ">
      <table>
        <thead><tr><th scope="col">Input</th>{sides.map((one) => <th scope="col" key={one.request.id}>{tail(one.request.id)}</th>)}</tr></thead>
        <tbody>{places.slice(0, 40).map((place) => <tr key={place}><th scope="row">{place}</th>{sides.map((one) => <td key={one.request.id}><code>{text(one, place)}</code></td>)}</tr>)}</tbody>
      </table>
    </div>
  );
}

/** Every picture with the same zoom, and scrolled to the same place. */
function SideBySide({ sides }: { sides: Side[] }) {
  const zoom = useSignal(1);
  const scrolled = (event: { currentTarget: HTMLElement }) => {
    const from = event.currentTarget;
    for (const other of document.querySelectorAll<HTMLElement>(".locked")) {
      if (other !== from && (other.scrollLeft !== from.scrollLeft || other.scrollTop !== from.scrollTop)) other.scrollTo(from.scrollLeft, from.scrollTop);
    }
  };
  return (
    <>
      <label class="row">Zoom <input type="range" min={1} max={8} step={0.5} value={zoom.value} onInput={(event) => (zoom.value = Number(event.currentTarget.value))} /> {zoom.value}×</label>
      <div class="compare-grid">
        {sides.map((one) => (
          <figure key={one.request.id} class="card">
            <div class="locked" tabIndex={0} role="region" aria-label={`Picture of ${tail(one.request.id)}`} onScroll={scrolled}>
              <img src={one.picture!.url} alt={`of ${tail(one.request.id)}`} ref={(image) => image?.style.setProperty("width", `${zoom.value * 100}%`)} />
            </div>
            <figcaption><Caption one={one} /></figcaption>
          </figure>
        ))}
      </div>
    </>
  );
}

function Slider({ before, after }: { before: Side; after: Side }) {
  const at = useSignal(50);
  return (
    <figure class="slider">
      <div class="over">
        <img src={after.picture!.url} alt={`of ${tail(after.request.id)}`} />
        <img src={before.picture!.url} alt={`of ${tail(before.request.id)}`} ref={(image) => image?.style.setProperty("clip-path", `inset(0 ${100 - at.value}% 0 0)`)} />
      </div>
      <input type="range" aria-label={`${tail(before.request.id)} to the left, ${tail(after.request.id)} to the right`} min={0} max={100} value={at.value} onInput={(event) => (at.value = Number(event.currentTarget.value))} />
      <figcaption class="row"><Caption one={before} /><span class="grow" /><Caption one={after} /></figcaption>
    </figure>
  );
}

function Blink({ sides }: { sides: Side[] }) {
  const at = useSignal(0);
  const auto = useSignal(false);
  const next = () => (at.value = (at.value + 1) % sides.length);
  useActions(() => [{ keys: "b", says: "Blink", run: next }], []);
  useEffect(() => {
    if (!auto.value) return;
    const timer = setInterval(next, 700);
    return () => clearInterval(timer);
  }, [auto.value]);
  const one = sides[at.value]!;
  return (
    <figure class="card">
      <Medium url={one.picture!.url} type={one.picture!.type} name={`of ${tail(one.request.id)}`} />
      <figcaption class="row"><button onClick={next}>Next <kbd>b</kbd></button><label class="check"><input type="checkbox" checked={auto.value} onChange={(event) => (auto.value = event.currentTarget.checked)} /> by itself</label><Caption one={one} /></figcaption>
    </figure>
  );
}
