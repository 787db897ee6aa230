// Signing in: by the link that `pondage serve` or `pondage open` prints, or by a key, which is never kept here.
import { signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { ApiError, call, get, signedOut } from "../api/client.ts";
import { again } from "../api/load.ts";
import type { Session } from "../api/types.ts";
import { loadApps } from "../live/apps.ts";
import { reconnect } from "../live/socket.ts";
import { navigate } from "../router.ts";
import { Dialog, Failed, Head } from "./basics.tsx";

export const session = signal<Session | null>(null);

/** Whether who is signed in has a scope; before that is known, nothing is hidden. */
export const may = (scope: string): boolean => !session.value || session.value.scopes.includes("admin") || session.value.scopes.includes(scope);

export async function whoAmI(): Promise<void> {
  try {
    session.value = await get<Session>("/api/v1/session");
    if (!session.value.signed_in) signedOut.value = true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // no answer: the page says so elsewhere
  }
}

async function begin(by: { token: string } | { key: string }): Promise<void> {
  session.value = await call<Session>("POST", "/api/v1/session", { json: by });
  signedOut.value = false;
  reconnect();
  again();
  await loadApps();
}

export async function signOut(): Promise<void> {
  session.value = await call<Session>("DELETE", "/api/v1/session");
  location.reload();
}

/** `/ui/sign-in#token`: the token leaves the address before anything else happens. */
export default function SignInPage(_: { params: Record<string, string> }) {
  const wrong = useSignal<ApiError | null>(null);
  useEffect(() => {
    const token = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
    if (!token) {
      void whoAmI().then(() => session.value?.signed_in && navigate("/", { replace: true }));
      return;
    }
    begin({ token }).then(
      () => navigate("/", { replace: true }),
      (error: unknown) => {
        if (error instanceof ApiError) wrong.value = error;
      },
    );
  }, []);
  return (
    <>
      <Head title="Sign in" />
      {wrong.value && <Failed error={wrong.value} />}
      <KeyForm done={() => navigate("/", { replace: true })} />
    </>
  );
}

function KeyForm({ done }: { done: () => void }) {
  const key = useSignal("");
  const wrong = useSignal("");
  const submit = async (event: Event) => {
    event.preventDefault();
    try {
      await begin({ key: key.value });
      key.value = "";
      done();
    } catch (error) {
      wrong.value = error instanceof Error ? error.message : String(error);
    }
  };
  return (
    <form class="panel sign-in" onSubmit={submit} aria-label="Sign in">
      <p>On the machine of the server, a link that signs in once: <code>pondage open</code></p>
      <label for="key">Or a key</label>
      <input id="key" type="password" autocomplete="off" placeholder="id:secret" value={key.value} aria-describedby={wrong.value ? "key-wrong" : undefined} aria-invalid={wrong.value ? true : undefined} onInput={(event) => (key.value = event.currentTarget.value)} />
      {wrong.value && <p class="error" id="key-wrong" role="alert">{wrong.value}</p>}
      <div><button type="submit" class="strong" disabled={!key.value}>Sign in</button></div>
      <p class="dim">The key is not kept in this browser. The pages show and do what it may.</p>
    </form>
  );
}

/** Over whatever is on screen when the session is over: what was there stays, and goes on. */
export function SignInDialog() {
  return <Dialog title="Sign in" close={() => (signedOut.value = false)}><KeyForm done={() => (signedOut.value = false)} /></Dialog>;
}
