// Errors in groups: type, message without its numbers, app; how many, since when, and one to look at.
import { get } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import type { ErrorGroups } from "../api/types.ts";
import { Bulk } from "../list/bulk.tsx";
import { OperationList } from "../list/operations.tsx";
import { appNames } from "../live/apps.ts";
import { address, href, setQuery } from "../router.ts";
import { Empty, Failed, Head, Time } from "../ui/basics.tsx";
import { tail, time } from "../ui/format.ts";
import type { PageProps } from "../ui/frame.tsx";

const SPANS: readonly (readonly [string, string, number])[] = [["hour", "Last hour", 3600], ["day", "Last 24 hours", 86_400], ["week", "Last 7 days", 7 * 86_400]];

export default function Errors(_: PageProps) {
  const query = address.value.query;
  const span = SPANS.find(([name]) => name === query.get("span")) ?? SPANS[1]!;
  const app = query.get("app") ?? "";
  const since = Math.floor(Date.now() / 1000 - span[2]);
  const found = useLoad<ErrorGroups>(`${span[0]} ${app}`, (signal) => get("/api/v1/errors", { since, app, limit: 100 }, signal));
  const groups = found.value.value;
  const error = found.state.value.error;
  return (
    <>
      <Head title="Errors">
        <span class="grow" />
        <label>App <select value={app} onChange={(event) => setQuery({ app: event.currentTarget.value })}><option value="">any</option>{appNames.value.map((name) => <option key={name}>{name}</option>)}</select></label>
        <label>Time <select value={span[0]} onChange={(event) => setQuery({ span: event.currentTarget.value })}>{SPANS.map(([name, text]) => <option key={name} value={name}>{text}</option>)}</select></label>
        <button onClick={found.reload}>Look again</button>
      </Head>
      {error && <Failed error={error} retry={found.reload} />}
      <OperationList />
      {groups && !groups.items.length && <Empty title="No errors"><p>Nothing failed in this time. <a href={href("/requests?outcome=error")}>Errors of any time</a> are under Requests.</p></Empty>}
      {groups && groups.items.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Error groups">
          <table>
            <thead><tr><th scope="col">Error</th><th scope="col">App</th><th scope="col" class="n">Count</th><th scope="col" class="n">Share</th><th scope="col">First</th><th scope="col">Last</th><th scope="col">Sample</th><th scope="col">All</th></tr></thead>
            <tbody>
              {groups.items.map((one) => (
                <tr key={`${one.app} ${one.error_type} ${one.message}`}>
                  <th scope="row">{one.error_type ? <code>{one.error_type}</code> : null} {one.message}</th>
                  <td>{one.app}</td>
                  <td class="n">{one.count.toLocaleString("en")}</td>
                  <td class="n">{(one.share * 100).toFixed(one.share < 0.1 ? 1 : 0)} %</td>
                  <td><Time at={time(one.first)} /></td>
                  <td><Time at={time(one.last)} /></td>
                  <td><a href={href(`/requests/${one.sample}`)}>{tail(one.sample)}</a></td>
                  <td>
                    <a href={href(`/requests?outcome=error&app=${encodeURIComponent(one.app)}${one.error_type ? `&error_type=${encodeURIComponent(one.error_type)}` : ""}`)}>list</a>{" "}
                    <Bulk query={{ outcome: "error", app: one.app, since: String(since), ...(one.error_type ? { error_type: one.error_type } : {}) }} chosen={NONE} clear={() => undefined} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

const NONE: ReadonlySet<string> = new Set();
