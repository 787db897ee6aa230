"""A receiver of Pondage's webhooks with Flask, which checks fal's Ed25519 headers: it holds no secret at all.

pip install '.[webhooks]' flask        # in a checkout of Pondage
export PONDAGE_JWKS_URL=http://127.0.0.1:8000/.well-known/jwks.json
flask --app flask_app run --port 3000
"""

import os

from flask import Flask, Response, request

import pondage
from pondage.errors import WebhookError

app = Flask(__name__)
seen: set[str] = set()  # a real receiver remembers ids in its database, with what it did about them


@app.post("/hook")
def hook() -> Response:
    try:
        event = pondage.verify_webhook(request.headers, request.get_data(), jwks_url=os.environ["PONDAGE_JWKS_URL"])
    except WebhookError as error:
        return Response(str(error), status=error.status)
    if event.id not in seen:
        seen.add(event.id)
        print(event.request_id, event.type, event.payload if event.ok else event.error, flush=True)
    return Response(status=204)
