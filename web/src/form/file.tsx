// A file of the input: chosen, dropped, pasted, by its address, from the camera or the microphone, or from an earlier output.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { ApiError } from "../api/client.ts";
import { type Stored, Upload } from "../api/upload.ts";
import { type Json, isObject, put } from "../json/lossless.ts";
import { Capture } from "../media/capture.tsx";
import { Medium } from "../media/view.tsx";
import { secure } from "../place.ts";
import { bytes } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
import { earlier } from "./earlier.ts";
import { type ControlProps, useForm } from "./field.tsx";
import type { Family, Of } from "./schema.ts";

const ACCEPT: Record<Family, string> = { image: "image/*", video: "video/*", audio: "audio/*", archive: ".zip,.tar,.gz,.tgz,application/zip", file: "" };

/** The address of a file in an input, whichever way it is written. */
export const urlOf = (value: Json | undefined): string =>
  typeof value === "string" ? value : isObject(value) && typeof value.url === "string" ? value.url : "";

/** A file as the control's schema wants it: an object, or its address alone. */
function written(node: Of<"file">, stored: Partial<Stored> & { url: string }, before?: Json): Json {
  if (node.bare || typeof before === "string") return stored.url;
  const made = {};
  for (const [name, value] of Object.entries(stored)) if (value !== undefined && name !== "file_size") put(made, name, value);
  return made;
}

function misfit(node: Of<"file">, file: File): string {
  const wanted = node.family === "file" || node.family === "archive" ? "" : node.family;
  return wanted && file.type && !file.type.startsWith(`${wanted}/`) ? `${file.name} is ${file.type}, not ${wanted === "image" || wanted === "audio" ? "an" : "a"} ${wanted}` : "";
}

interface SourceProps {
  node: Of<"file">;
  id: string;
  label: string;
  many: boolean;
  took: (files: File[]) => void;
  address: (url: string) => void;
  aria: Record<string, string | boolean | undefined>;
}

/** The ways to bring a file, as one area that takes drops and pastes. */
function Sources({ node, id, label, many, took, address, aria }: SourceProps) {
  const over = useSignal(false);
  const typing = useSignal(false);
  const capturing = useSignal<"camera" | "mic" | null>(null);
  const choosing = useSignal(false);
  const url = useSignal("");
  const ref = useRef<HTMLDivElement>(null);
  const camera = node.family === "image" || node.family === "video";
  const mic = node.family === "audio";
  useEffect(() => dropTarget(ref.current, took), []);
  return (
    <div
      ref={ref} class={`sources${over.value ? " over" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        over.value = true;
      }}
      onDragLeave={() => (over.value = false)}
      onDrop={(event) => {
        over.value = false;
        const files = [...(event.dataTransfer?.files ?? [])];
        if (!files.length) return;
        event.preventDefault();
        event.stopPropagation();
        took(many ? files : files.slice(0, 1));
      }}
      onPaste={(event) => {
        const files = [...(event.clipboardData?.files ?? [])];
        if (files.length) {
          event.preventDefault();
          took(many ? files : files.slice(0, 1));
        }
      }}
    >
      <label class="button">
        <Icon name="file" /> Choose
        <input
          id={id} type="file" class="visually-hidden" accept={ACCEPT[node.family]} multiple={many} aria-label={`Choose ${label}`} {...aria}
          onChange={(event) => {
            took([...(event.currentTarget.files ?? [])]);
            event.currentTarget.value = "";
          }}
        />
      </label>
      <button type="button" aria-expanded={typing.value} aria-label={`URL of ${label}`} onClick={() => (typing.value = !typing.value)}><Icon name="link" /> URL</button>
      {(camera || mic) && (secure ? (
        <button type="button" aria-label={`${mic ? "Mic" : "Camera"} for ${label}`} onClick={() => (capturing.value = mic ? "mic" : "camera")}><Icon name={mic ? "mic" : "camera"} /> {mic ? "Mic" : "Camera"}</button>
      ) : (
        <label class="button">
          <Icon name={mic ? "mic" : "camera"} /> {mic ? "Record" : "Camera"}
          <input type="file" class="visually-hidden" accept={ACCEPT[node.family]} capture={mic ? "user" : "environment"} aria-label={`Capture ${label}`} onChange={(event) => took([...(event.currentTarget.files ?? [])])} />
        </label>
      ))}
      {earlier.value.some((one) => fitsFamily(one.content_type, node.family)) && (
        <button type="button" aria-expanded={choosing.value} aria-label={`Earlier output for ${label}`} onClick={() => (choosing.value = !choosing.value)}><Icon name="history" /> Earlier</button>
      )}
      <span class="dim">or drop or paste {many ? "files" : "one"} here</span>
      {typing.value && (
        <div class="row address">
          <input
            type="text" aria-label={`Address of ${label}`} placeholder="https://…" value={url.value} onInput={(event) => (url.value = event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key !== "Enter") return;
              event.preventDefault();
              if (url.value) address(url.value);
            }}
          />
          <button type="button" disabled={!url.value} onClick={() => address(url.value)}>Use</button>
        </div>
      )}
      {choosing.value && (
        <ul class="earlier">
          {earlier.value.filter((one) => fitsFamily(one.content_type, node.family)).slice(0, 12).map((one) => (
            <li key={one.url}>
              <button type="button" onClick={() => { choosing.value = false; address(one.url); }}>
                <Medium url={one.url} type={one.content_type} small /> <span>{one.name}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
      {capturing.value && <Capture kind={capturing.value} video={node.family === "video"} close={() => (capturing.value = null)} took={(file) => { capturing.value = null; took([file]); }} />}
    </div>
  );
}

const fitsFamily = (type: string, family: Family): boolean => family === "file" || family === "archive" || type.startsWith(`${family}/`);

/** The first file field takes what is dropped anywhere else on the page. */
const targets: { element: HTMLElement; took: (files: File[]) => void }[] = [];
function dropTarget(element: HTMLElement | null, took: (files: File[]) => void): () => void {
  const mine = element ? { element, took } : null;
  if (mine) targets.push(mine);
  return () => {
    if (mine) targets.splice(targets.indexOf(mine), 1);
  };
}
document.addEventListener("dragover", (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault());
document.addEventListener("drop", (event) => {
  const files = [...(event.dataTransfer?.files ?? [])];
  if (event.defaultPrevented || !files.length) return;
  event.preventDefault(); // else the browser would leave the page for the file
  const first = targets.toSorted((a, b) => (a.element.compareDocumentPosition(b.element) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1))[0];
  first?.took(files);
});

function useUploads(node: Of<"file">, add: (stored: Stored) => void) {
  const form = useForm();
  const uploads = useSignal<Upload[]>([]);
  const wrong = useSignal<string>("");
  const failed = useSignal<File[]>([]);
  const begin = (files: File[]) => {
    wrong.value = "";
    failed.value = [];
    for (const file of files) {
      const no = misfit(node, file);
      if (no) {
        wrong.value = no;
        continue;
      }
      const upload = new Upload(file);
      uploads.value = [...uploads.value, upload];
      form.uploading.value += 1;
      upload.done
        .then(add, (error: unknown) => {
          if (error instanceof ApiError && error.status === -1) return;
          wrong.value = `${file.name}: ${error instanceof Error ? error.message : String(error)}`;
          failed.value = [...failed.value, file];
        })
        .finally(() => {
          uploads.value = uploads.value.filter((one) => one !== upload);
          form.uploading.value -= 1;
        });
    }
  };
  const view = (
    <>
      {uploads.value.map((upload) => <Progress key={upload.file.name} upload={upload} />)}
      {wrong.value && (
        <p class="error" role="alert">
          <Icon name="warn" /> {wrong.value} {failed.value.length > 0 && <button type="button" onClick={() => begin(failed.value)}>Try again</button>}
        </p>
      )}
    </>
  );
  return { begin, view };
}

function Progress({ upload }: { upload: Upload }) {
  const share = upload.file.size ? upload.sent.value / upload.file.size : 1;
  const large = upload.file.size > 100e6;
  return (
    <div class="upload">
      <progress max={1} value={share} aria-label={`Upload of ${upload.file.name}`} />
      <span>{upload.file.name} · {bytes(upload.sent.value)} of {bytes(upload.file.size)}{upload.says.value && ` · ${upload.says.value}`}</span>
      {large && <button type="button" onClick={() => upload.pause()}>{upload.held.value ? "Go on" : "Pause"}</button>}
      <button type="button" class="quiet" aria-label={`Cancel the upload of ${upload.file.name}`} onClick={() => upload.cancel()}><Icon name="close" /></button>
    </div>
  );
}

export function FileControl({ node, id, value, set, aria }: ControlProps<Of<"file">>) {
  const { begin, view } = useUploads(node, (stored) => set(written(node, stored, value)));
  const url = urlOf(value);
  return (
    <div class="file">
      {url && (
        <div class="chosen-file">
          <Medium url={url} type={isObject(value) && typeof value.content_type === "string" ? value.content_type : ""} family={node.family} small />
          <span class="grow">{nameOf(value, url)}</span>
          <button type="button" class="quiet" aria-label={`Take ${node.title} away`} onClick={() => set(undefined)}><Icon name="close" /></button>
        </div>
      )}
      <Sources node={node} id={id} label={node.title || "file"} many={false} took={(files) => begin(files.slice(0, 1))} address={(next) => set(written(node, { url: next }, value))} aria={aria} />
      {view}
    </div>
  );
}

const nameOf = (value: Json | undefined, url: string): string =>
  isObject(value) && typeof value.file_name === "string" ? value.file_name : url.startsWith("data:") ? `${url.slice(5, url.indexOf(",")).split(";")[0]}, in the input itself` : decodeURIComponent(url.split("/").pop() ?? url).slice(0, 80);

/** A list of files is one place to drop many, and a grid of what is there. */
export function FileList({ node, item, id, value, set, aria }: ControlProps<Of<"array">> & { item: Of<"file"> }) {
  const items = Array.isArray(value) ? value : [];
  const current = useRef(items);
  current.current = items;
  const { begin, view } = useUploads(item, (stored) => set([...current.current, written(item, stored)]));
  const named: Of<"file"> = { ...item, title: node.title };
  const move = (n: number, by: number) => {
    const next = [...items];
    next.splice(n + by, 0, ...next.splice(n, 1));
    set(next);
  };
  return (
    <div class="file">
      {items.length > 0 && (
        <ol class="file-grid">
          {items.map((one, n) => (
            <li key={n}>
              <Medium url={urlOf(one)} type={isObject(one) && typeof one.content_type === "string" ? one.content_type : ""} family={item.family} small />
              <span class="name">{nameOf(one, urlOf(one))}</span>
              <span class="tools">
                <button type="button" class="quiet" disabled={n === 0} aria-label={`Move file ${n + 1} forward`} onClick={() => move(n, -1)}><Icon name="up" /></button>
                <button type="button" class="quiet" disabled={n === items.length - 1} aria-label={`Move file ${n + 1} back`} onClick={() => move(n, 1)}><Icon name="down" /></button>
                <button type="button" class="quiet" aria-label={`Take file ${n + 1} away`} onClick={() => set(items.filter((_, at) => at !== n))}><Icon name="close" /></button>
              </span>
            </li>
          ))}
        </ol>
      )}
      <Sources node={named} id={id} label={node.title || "files"} many took={begin} address={(url) => set([...items, written(item, { url })])} aria={aria} />
      {view}
      {node.most !== null && items.length > node.most && <p class="hint">At most {node.most} are taken.</p>}
    </div>
  );
}
