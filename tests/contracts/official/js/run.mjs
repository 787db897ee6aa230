// node run.mjs CASE WAY: runs one case and prints what it returned, as the last line.
import * as cases from "./cases.mjs";
import { client } from "./fal.mjs";

const [name, way] = process.argv.slice(2);
const all = name.startsWith("old") ? await import("./old.mjs") : cases;
const result = await all[name](client(way), way);
process.stdout.write(`\n${JSON.stringify(result)}\n`, () => process.exit(0));
