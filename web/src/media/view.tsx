// Media on screen: pictures with zoom, video, sound with its waveform. Nothing of another host is loaded.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { Dialog } from "../ui/basics.tsx";
import { bytes } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
import { type Found, typeOf } from "./find.ts";
import { Waveform } from "./waveform.tsx";

/** Whether the page may load an address: our own, or bytes that are in it. */
export function ours(url: string): boolean {
  if (url.startsWith("data:image/") || url.startsWith("blob:")) return true;
  try {
    return new URL(url, location.href).origin === location.origin;
  } catch {
    return false;
  }
}

/** Bytes of a `data:` address as a `blob:`, which players may load under our policy. */
function useLoadable(url: string): string {
  const made = useSignal("");
  useEffect(() => {
    if (!url.startsWith("data:") || url.startsWith("data:image/")) return;
    const [head = "", body = ""] = [url.slice(5, url.indexOf(",")), url.slice(url.indexOf(",") + 1)];
    try {
      const text = head.endsWith(";base64") ? atob(body) : decodeURIComponent(body);
      made.value = URL.createObjectURL(new Blob([Uint8Array.from(text, (c) => c.charCodeAt(0))], { type: head.split(";")[0] ?? "" }));
    } catch {
      made.value = ""; // not what it says: the link stays
    }
    return () => URL.revokeObjectURL(made.value);
  }, [url]);
  return url.startsWith("data:") && !url.startsWith("data:image/") ? made.value : url;
}

interface MediumProps {
  url: string;
  type?: string;
  family?: string;
  small?: boolean;
  name?: string;
}

export function Medium({ url, type = "", family = "", small = false, name = "" }: MediumProps) {
  const kind = (typeOf(url, type) || `${family}/`).split("/")[0];
  const failed = useSignal(false);
  const zoom = useSignal(false);
  const src = useLoadable(url);
  if (!url) return null;
  if (!ours(url) && !src.startsWith("blob:")) {
    return <a class="medium away" href={safe(url)} target="_blank" rel="noopener noreferrer"><Icon name="link" /> {host(url)}</a>;
  }
  if (failed.value) return <span class="medium broken"><Icon name="warn" /> cannot be shown</span>;
  const fail = () => (failed.value = true);
  if (kind === "image") {
    const picture = <img class={small ? "thumb" : "picture"} src={src} alt={small ? "" : name || "picture"} loading="lazy" decoding="async" onError={fail} />;
    if (small) return picture;
    return (
      <>
        <button type="button" class="picture-button" aria-label={`Zoom ${name || "picture"}`} onClick={() => (zoom.value = true)}>{picture}</button>
        {zoom.value && <Zoom url={src} name={name} close={() => (zoom.value = false)} />}
      </>
    );
  }
  if (kind === "video") return small ? <video class="thumb" src={src} muted preload="metadata" onError={fail} /> : <Video url={src} name={name} fail={fail} />;
  if (kind === "audio") return small ? <Icon name="mic" /> : <Waveform url={src} name={name} fail={fail} />;
  return <span class="medium"><Icon name="file" /> {typeOf(url, type) || "file"}</span>;
}

function host(url: string): string {
  try {
    return new URL(url).host || url.slice(0, 40);
  } catch {
    return url.slice(0, 40);
  }
}

/** An address that a link may carry: never one that is code. */
export const safe = (url: string): string => (/^(https?:|blob:|data:(image\/(?!svg)|audio\/|video\/))/i.test(url) ? url : "about:blank");

function Video({ url, name, fail }: { url: string; name: string; fail: () => void }) {
  const ref = useRef<HTMLVideoElement>(null);
  const step = (by: number) => {
    const video = ref.current;
    if (!video) return;
    video.pause();
    video.currentTime = Math.max(0, video.currentTime + by / 30);
  };
  return (
    <div class="video">
      <video
        ref={ref} src={url} controls loop playsInline preload="metadata" aria-label={name || "video"} onError={fail}
        onKeyDown={(event) => event.key === "," ? step(-1) : event.key === "." ? step(1) : undefined}
      />
      <div class="row">
        <button type="button" aria-label="One picture back" onClick={() => step(-1)}>−1</button>
        <button type="button" aria-label="One picture on" onClick={() => step(1)}>+1</button>
      </div>
    </div>
  );
}

function Zoom({ url, name, close }: { url: string; name: string; close: () => void }) {
  const scale = useSignal(0);
  const size = useSignal("");
  return (
    <Dialog title={name || "Picture"} close={close}>
      <div class="row">
        {([[0, "Fit"], [1, "1 : 1"], [2, "2 : 1"], [4, "4 : 1"]] as const).map(([factor, text]) => (
          <button type="button" key={text} aria-pressed={scale.value === factor} onClick={() => (scale.value = factor)}>{text}</button>
        ))}
        <span class="dim">{size.value}</span>
      </div>
      <div class="zoomed" tabIndex={0} role="region" aria-label="Picture, scrollable">
        <img
          src={url} alt={name} class={scale.value ? "scaled" : "fit"} width={scale.value ? scaledWidth(size.value, scale.value) : undefined}
          onLoad={(event) => (size.value = `${event.currentTarget.naturalWidth} × ${event.currentTarget.naturalHeight}`)}
        />
      </div>
    </Dialog>
  );
}

const scaledWidth = (size: string, factor: number): number | undefined => (size ? Number.parseInt(size, 10) * factor : undefined);

/** One medium of an output, with what is known of it and what can be done with it. */
export function Card({ found, use }: { found: Found; use?: (found: Found) => void }) {
  const facts = [found.type, found.width && found.height ? `${found.width} × ${found.height}` : "", found.size === null ? "" : bytes(found.size)].filter(Boolean);
  return (
    <figure class="card">
      <Medium url={found.url} type={found.type} name={found.name} />
      <figcaption>
        <span class="name">{found.name}</span> <span class="dim">{facts.join(" · ")}</span>
        <span class="row">
          {ours(found.url) && <a class="button" href={safe(found.url)} download={found.name || "file"}>Download</a>}
          {use && <button type="button" onClick={() => use(found)}>Use as input</button>}
        </span>
      </figcaption>
    </figure>
  );
}
