// node once.mjs ENDPOINT INPUT: one `fal.run`, with the repeats that the package makes by itself; prints its data.
import { client } from "./fal.mjs";

const [endpoint, input] = process.argv.slice(2);
try {
  const { data } = await client("middleware").run(endpoint, { input: JSON.parse(input) });
  process.stdout.write(`\n${JSON.stringify(data)}\n`, () => process.exit(0));
} catch (error) {
  process.stderr.write(`${error.status ?? ""} ${error.message}\n`, () => process.exit(1));
}
