"""The workload in LitServe: one process for HTTP and one that works. A server either answers or streams.

python litserve_app.py run|stream PORT

Annotations are not deferred here, since LitServe reads them as they are.
"""

import sys
from collections.abc import Iterator

import litserve
from pydantic import BaseModel


class Input(BaseModel):
    x: int
    pad: str


class Add(litserve.LitAPI):
    def setup(self, device: str) -> None:
        pass

    def decode_request(self, request: Input) -> int:
        return request.x

    def predict(self, x: int) -> int:
        return x + 1

    def encode_response(self, output: int) -> dict[str, int]:
        return {"y": output}


class Count(BaseModel):
    n: int


class Numbers(litserve.LitAPI):
    def setup(self, device: str) -> None:
        pass

    def decode_request(self, request: Count) -> int:
        return request.n

    def predict(self, n: int) -> Iterator[int]:
        yield from range(n)

    # Its annotation would become the schema of the answer, which a stream has not.
    def encode_response(self, output):  # type: ignore[no-untyped-def]
        for i in output:
            yield f'data: {{"i": {i}}}\n\n'


if __name__ == "__main__":
    api = Numbers(stream=True) if sys.argv[1] == "stream" else Add()
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[2]), num_api_servers=1, generate_client_file=False,
        log_level="warning", access_log=False,
    )  # fmt: skip
