"""Prints how to call the OCR example from Python, curl, JavaScript and Swift: `make serve` shows it."""

from __future__ import annotations

import sys

TEXT = """
The OCR example will answer at {url}. From another terminal:

Terminal
  .venv/bin/pondage call local/ocr image=@examples/samples/page.png -o demo-out{server}

Python (pip install . in this checkout)
  import pondage
  client = pondage.SyncClient(base_url="{url}")
  image = client.upload_file("examples/samples/page.png")
  print(client.subscribe("local/ocr", {{"image": image}})["text"])

curl
  curl -s {url}/local/ocr -H 'content-type: application/json' \\
    -d "{{\\"image\\": \\"data:image/png;base64,$(base64 < examples/samples/page.png | tr -d '\\n')\\"}}"

JavaScript (npm install @fal-ai/client)
  import {{ createFalClient }} from "@fal-ai/client";
  import {{ readFile }} from "node:fs/promises";
  const fal = createFalClient({{ proxyUrl: {{ url: "{url}/api/fal/proxy", when: "always" }} }});
  const image = new Blob([await readFile("examples/samples/page.png")], {{ type: "image/png" }});
  const result = await fal.subscribe("local/ocr", {{ input: {{ image }}, logs: true }});
  console.log(result.data.text);

Swift (FalClient)
  let fal = FalClient.withProxy("{url}/api/fal/proxy")
  let image = try await fal.storage.upload(data: pictureData, ofType: .imagePng)
  let result = try await fal.subscribe(to: "local/ocr", input: ["image": .string(image)])

Ctrl-C stops it: what runs is finished, what waits stays in the queue.
"""


def main() -> None:
    port = sys.argv[1] if len(sys.argv) > 1 else "8000"
    url = f"http://127.0.0.1:{port}"
    print(TEXT.format(url=url, server="" if port == "8000" else f" --server {url}"))


if __name__ == "__main__":
    main()
