// The small parts that every page uses. Native elements first; a state is an icon, a word and a colour.
import type { ComponentChildren } from "preact";
import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import type { ApiError } from "../api/client.ts";
import { secure } from "../place.ts";
import { ago, exactly } from "./format.ts";
import { Icon, type IconName } from "./icons.tsx";
import { announce, now } from "./live-region.ts";

const STATES: Record<string, [IconName, string]> = {
  ok: ["ok", "ok"],
  error: ["error", "error"],
  cancelled: ["cancelled", "cancelled"],
  IN_QUEUE: ["queued", "queued"],
  IN_PROGRESS: ["running", "running"],
  COMPLETED: ["ok", "completed"],
};

export function State({ state, outcome }: { state: string; outcome?: string | null | undefined }) {
  const [icon, word] = STATES[outcome ?? state] ?? ["queued", state];
  return (
    <span class={`state ${word}`}>
      <Icon name={icon} />
      {word}
    </span>
  );
}

export function Time({ at }: { at: number }) {
  if (!Number.isFinite(at)) return <span>–</span>;
  return (
    <time dateTime={new Date(at).toISOString()} title={exactly(at)}>
      {ago(at, now.value)}
    </time>
  );
}

/** Until when a title that appears takes the focus: after a change of page, also where the page is drawn in two steps. */
let focusUntil = 0;
const FOCUS_WAIT = 5000;

/** The page has changed: its title gets the focus, so that keyboard and screen reader follow. */
export function focusTitle(): void {
  focusUntil = Date.now() + FOCUS_WAIT;
  document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
}

/** A page's head: the title gets the focus when the page opens. */
export function Head({ title, children, tab }: { title: string; children?: ComponentChildren; tab?: string }) {
  const ref = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    const lost = !document.activeElement || document.activeElement === document.body;
    if (lost && Date.now() < focusUntil) ref.current?.focus({ preventScroll: true });
  }, []);
  useEffect(() => {
    document.title = tab ?? `${title} · Pondage`;
  }, [title, tab]);
  return (
    <div class="head">
      <h1 ref={ref} tabIndex={-1}>
        {title}
      </h1>
      {children}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <section class="empty">
      <h2>{title}</h2>
      {children}
    </section>
  );
}

/** An error with what it is about, and the one thing to do next. */
export function Failed({ error, retry, kept }: { error: ApiError; retry?: (() => void) | undefined; kept?: number }) {
  const says = error.status === 0 ? "No answer" : error.status < 0 ? "The page failed" : `${error.status}`;
  const report = `${error.status} ${error.kind} ${error.message} ${error.requestId}`.trim();
  return (
    <div class="failed" role="alert">
      <p>
        <Icon name="warn" /> <strong>{says}</strong> {error.message}
        {error.requestId && <span class="dim"> · request {error.requestId}</span>}
        {kept ? <span class="dim"> · what is shown is from {ago(kept)}</span> : null}
      </p>
      <div class="row">
        {retry && <button onClick={retry}>Try again</button>}
        <Copy text={report} label="Copy report" />
      </div>
    </div>
  );
}

/** Copies a text; where a page has no clipboard (plain HTTP from another machine) it selects it in a field. */
export function Copy({ text, label = "Copy" }: { text: string; label?: string }) {
  const shown = useSignal(false);
  const done = useSignal(false);
  const copy = async () => {
    if (secure && navigator.clipboard) {
      await navigator.clipboard.writeText(text);
      done.value = true;
      announce("copied");
      setTimeout(() => (done.value = false), 1500);
    } else shown.value = true;
  };
  if (shown.value) {
    return (
      <input
        class="copied" readOnly value={text} aria-label={`${label}: select and copy`}
        ref={(field) => field?.select()} onBlur={() => (shown.value = false)}
      />
    );
  }
  return (
    <button class="quiet" onClick={() => void copy()}>
      <Icon name="copy" /> {done.value ? "Copied" : label}
    </button>
  );
}

export function Command({ text }: { text: string }) {
  return (
    <div class="command">
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
      <Copy text={text} />
    </div>
  );
}

/** Tabs as links: each is in the URL. */
export function Tabs({ items, chosen, choose, label }: {
  items: readonly (readonly [string, string])[];
  chosen: string;
  choose: (name: string) => void;
  label: string;
}) {
  const move = (event: KeyboardEvent) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    const at = items.findIndex(([name]) => name === chosen);
    const next = items[(at + step + items.length) % items.length];
    if (!next) return;
    choose(next[0]);
    const list = event.currentTarget as HTMLElement;
    queueMicrotask(() => list.querySelector<HTMLElement>("[aria-selected=true]")?.focus());
  };
  return (
    <div class="tabs" role="tablist" aria-label={label} onKeyDown={move}>
      {items.map(([name, text]) => (
        <button key={name} role="tab" aria-selected={name === chosen} tabIndex={name === chosen ? 0 : -1} onClick={() => choose(name)}>
          {text}
        </button>
      ))}
    </div>
  );
}

/** A dialog that gives the focus back. */
export function Dialog({ title, close, children }: { title: string; close: () => void; children: ComponentChildren }) {
  const ref = useRef<HTMLDialogElement>(null);
  // At once, not after the next picture: what is typed meanwhile belongs to the dialog.
  useLayoutEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    ref.current?.showModal();
    ref.current?.querySelector<HTMLElement>("[data-focus]")?.focus();
    return () => before?.focus?.();
  }, []);
  return (
    <dialog ref={ref} aria-label={title} onClose={close} onClick={(event) => event.target === ref.current && close()}>
      <div class="dialog-head">
        <h2>{title}</h2>
        <button class="quiet" aria-label="Close" onClick={close}>
          <Icon name="close" />
        </button>
      </div>
      {children}
    </dialog>
  );
}
