"""A receiver of Pondage's webhooks with FastAPI. Answers 204 to what is signed, and handles each delivery once.

pip install '.[webhooks]' fastapi uvicorn        # in a checkout of Pondage
export PONDAGE_WEBHOOK_SECRET=$(pondage webhooks secret)
uvicorn fastapi_app:app --port 3000
"""

import os

from fastapi import FastAPI, Request, Response

import pondage
from pondage.errors import WebhookError

app = FastAPI()
seen: set[str] = set()  # a real receiver remembers ids in its database, with what it did about them


@app.post("/hook")
async def hook(request: Request) -> Response:
    body = await request.body()
    try:
        event = pondage.verify_webhook(request.headers, body, secret=os.environ["PONDAGE_WEBHOOK_SECRET"])
    except WebhookError as error:
        return Response(str(error), status_code=error.status)
    if event.id not in seen:
        seen.add(event.id)
        print(event.request_id, event.type, event.payload if event.ok else event.error, flush=True)
    return Response(status_code=204)
