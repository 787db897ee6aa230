// What holds for the whole page: whether it is live, whether the server is open, whether the page is old.
import { href } from "../router.ts";
import { connection, newBuild, openServer, retryAt } from "../live/socket.ts";
import { secure } from "../place.ts";
import { duration } from "./format.ts";
import { Icon } from "./icons.tsx";
import { now } from "./live-region.ts";

export function LiveBadge() {
  const state = connection.value;
  const wait = Math.max(0, (retryAt.value - now.value) / 1000);
  const says = {
    live: "Live",
    connecting: "Connecting",
    waiting: wait > 0.5 ? `Reconnecting, ${duration(Math.ceil(wait)).replace(".00", "").replace(".0", "")}` : "Reconnecting",
    polling: "Every 5 s",
    paused: "Paused",
  }[state];
  return (
    <>
      {openServer.value && <a class="open-server" href={href("/keys")} title="Any program on this machine can call; make a key to change that">open</a>}
      <span class={`badge ${state}`} title={state === "polling" ? "No WebSocket gets through: the page asks every five seconds" : undefined}>
        <Icon name={state === "live" ? "ok" : "history"} /> {says}
      </span>
    </>
  );
}

export function Notices() {
  const notes = [];
  if (newBuild.value) {
    notes.push(<p key="build">Pondage was updated. <button onClick={() => location.reload()}>Reload</button></p>);
  }
  if (!secure) {
    notes.push(
      <p key="insecure">
        This address is plain HTTP, so the browser gives no clipboard, camera or microphone here; copying and files still work.
        For all of it: <code>ssh -L 8000:localhost:8000 {location.hostname}</code>, or <code>pondage serve --tls-dev</code>.
      </p>,
    );
  }
  return notes.length ? <aside class="notices" aria-label="Notices">{notes}</aside> : null;
}
