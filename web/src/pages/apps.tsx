// The list of playgrounds.
import { apps } from "../live/apps.ts";
import { playground } from "../router.ts";
import { Empty, Head } from "../ui/basics.tsx";
import type { PageProps } from "../ui/frame.tsx";
import { appState } from "./home.tsx";

export default function Apps(_: PageProps) {
  const known = apps.value;
  return (
    <>
      <Head title="Playground" />
      {known?.length === 0 && <Empty title="No app yet"><p>A playground appears here as soon as an app is served: <code>pondage serve app.py</code></p></Empty>}
      <ul class="cards">
        {known?.flatMap((app) =>
          (app.info.endpoints.length ? app.info.endpoints : [null]).map((endpoint) => {
            const id = app.name + (!endpoint || endpoint.path === "/" ? "" : endpoint.path);
            const [kind, words] = appState(app);
            return (
              <li key={id}>
                <a href={playground(id)}><strong>{id}</strong></a>
                <p>{endpoint?.description || app.info.description || " "}</p>
                <p class="dim"><span class={`app-state ${kind}`}>{words}</span>{endpoint && endpoint.kind !== "call" ? ` · ${endpoint.kind}` : ""}</p>
              </li>
            );
          }),
        )}
      </ul>
    </>
  );
}
