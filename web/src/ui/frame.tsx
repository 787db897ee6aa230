// The frame around every page: rail, top bar, notices, the page itself.
import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

import { signedOut } from "../api/client.ts";
import { startApps } from "../live/apps.ts";
import { startLive } from "../live/socket.ts";
import { Home } from "../pages/home.tsx";
import { LiveBadge, Notices } from "./notices.tsx";
import { address, href, match, navigate, startRouter } from "../router.ts";
import { focusTitle } from "./basics.tsx";
import { Icon, type IconName } from "./icons.tsx";
import { startKeys, useActions } from "./keys.ts";
import { announce, announced } from "./live-region.ts";
import { Palette, Sheet } from "./palette.tsx";
import SignInPage, { SignInDialog } from "./signing.tsx";
import { nextTheme, theme } from "./theme.ts";

export interface PageProps {
  params: Record<string, string>;
}

type Page = ComponentType<PageProps>;

/** One file per page, loaded when it is first seen. */
const PAGES: Record<string, () => Promise<{ default: Page }>> = {
  apps: () => import("../pages/apps.tsx"),
  playground: () => import("../pages/playground.tsx"),
  requests: () => import("../pages/requests.tsx"),
  request: () => import("../pages/request.tsx"),
  compare: () => import("../pages/compare.tsx"),
  errors: () => import("../pages/errors.tsx"),
  runners: () => import("../pages/runners.tsx"),
  deliveries: () => import("../pages/deliveries.tsx"),
  keys: () => import("../pages/keys.tsx"),
  settings: () => import("../pages/settings.tsx"),
};

const RAIL: readonly (readonly [string, string, IconName, readonly string[]])[] = [
  ["/", "Home", "home", ["home"]],
  ["/apps", "Playground", "play", ["apps", "playground"]],
  ["/requests", "Requests", "list", ["requests", "request", "compare"]],
  ["/errors", "Errors", "warn", ["errors"]],
  ["/runners", "Runners", "runner", ["runners"]],
  ["/deliveries", "Webhooks", "hook", ["deliveries"]],
  ["/keys", "Keys", "key", ["keys"]],
  ["/settings", "Settings", "gear", ["settings"]],
];

startRouter();
startKeys();

function usePage(name: string): { page: Page | null; failed: boolean } {
  const [state, set] = useState<{ name: string; page: Page | null; failed: boolean }>({ name: "", page: null, failed: false });
  useEffect(() => {
    if (name === "home" || name === "sign-in") return;
    let left = false;
    const page = PAGES[name];
    if (!page) return set({ name, page: Nowhere, failed: false });
    page().then(
      (module) => left || set({ name, page: module.default, failed: false }),
      () => left || set({ name, page: null, failed: true }),
    );
    return () => {
      left = true;
    };
  }, [name]);
  if (name === "home") return { page: Home, failed: false };
  if (name === "sign-in") return { page: SignInPage, failed: false };
  return state.name === name ? state : { page: null, failed: false };
}

/** After a change of page the focus goes to its title, so that keyboard and screen reader follow. */
function useFocus(key: string, ready: boolean) {
  const first = useSignal(true);
  useEffect(() => {
    if (!ready) return;
    if (first.value) {
      first.value = false;
      return;
    }
    focusTitle();
    scrollTo(0, 0);
  }, [key, ready]);
}

let started = false;

export function Frame() {
  const { name, params } = match(address.value.path);
  useEffect(() => {
    if (started || name === "sign-in") return; // before the sign-in every call would be refused
    started = true;
    startLive();
    startApps();
  }, [name]);
  const { page: Current, failed } = usePage(name);
  const palette = useSignal(false);
  const sheet = useSignal(false);
  useFocus(address.value.path, Current !== null);
  useActions(
    () => [
      { keys: "Ctrl+K", says: "Go to anything", run: () => (palette.value = true) },
      { keys: "?", says: "Show the keyboard sheet", run: () => (sheet.value = true) },
      { keys: "t", says: "Change the theme", run: () => announce(`theme: ${nextTheme()}`) },
      { keys: "g h", says: "Home", run: () => navigate("/") },
      { keys: "g e", says: "Errors", run: () => navigate("/errors") },
      { keys: "g u", says: "Runners", run: () => navigate("/runners") },
      { keys: "g w", says: "Webhooks", run: () => navigate("/deliveries") },
      { keys: "g k", says: "Keys", run: () => navigate("/keys") },
      { keys: "g s", says: "Settings", run: () => navigate("/settings") },
      { keys: "g r", says: "Requests", run: () => navigate("/requests") },
      { keys: "g p", says: "Playground", run: () => navigate("/apps") },
    ],
    [],
  );
  return (
    <>
      <a class="skip" href="#main">Skip to the page</a>
      <nav class="rail" aria-label="Pages">
        <a class="mark" href={href("/")} aria-label="Pondage, home">
          <svg viewBox="0 0 16 16" aria-hidden="true"><rect width="16" height="16" rx="4" /><path d="M3 6c2 0 2 2 5 2s3-2 5-2M3 10c2 0 2 2 5 2s3-2 5-2" /></svg>
          <span>Pondage</span>
        </a>
        {RAIL.map(([to, text, icon, names]) => (
          <a key={to} href={href(to)} aria-current={names.includes(name) ? "page" : undefined}>
            <Icon name={icon} /> <span>{text}</span>
          </a>
        ))}
      </nav>
      <div class="body">
        <header class="top">
          <button class="find" onClick={() => (palette.value = true)}>
            <Icon name="search" /> <span>Go to…</span> <kbd>Ctrl K</kbd>
          </button>
          <span class="grow" />
          <LiveBadge />
          <button class="quiet" onClick={() => announce(`theme: ${nextTheme()}`)} title="Theme (t)" aria-label={`Theme: ${theme.value}`}>
            <Icon name="sun" />
          </button>
          <button class="quiet" onClick={() => (sheet.value = true)} title="Keyboard (?)" aria-label="Keyboard">?</button>
        </header>
        <Notices />
        <main id="main" class={`page-${name}`}>
          {failed ? <Lost title="This page could not be loaded" /> : Current ? <Current key={name} params={params} /> : <p class="dim" aria-busy="true">Loading…</p>}
        </main>
      </div>
      <div class="visually-hidden" role="status" aria-live="polite">{announced.value}</div>
      {palette.value && <Palette close={() => (palette.value = false)} />}
      {sheet.value && <Sheet close={() => (sheet.value = false)} />}
      {signedOut.value && name !== "sign-in" && <SignInDialog />}
    </>
  );
}

function Nowhere() {
  return (
    <section class="empty">
      <h1 tabIndex={-1}>There is no such page</h1>
      <p>Perhaps one of those to the left, or <kbd>Ctrl K</kbd>.</p>
    </section>
  );
}

function Lost({ title }: { title: string }) {
  return (
    <section class="empty">
      <h1 tabIndex={-1}>{title}</h1>
      <p>The server was updated, or does not answer. <button onClick={() => location.reload()}>Reload</button></p>
    </section>
  );
}
