"""What each error code means and what to do about it: `pondage explain CODE`, and docs/errors.md.

Three families share the table: codes of our own error tree (dotted), fal's names of infrastructure errors
(`error_type`), and the names in the entries of a 422 (`type`).
"""

from __future__ import annotations

from typing import NamedTuple


class Explanation(NamedTuple):
    """`what` it means, and the way out (`then`)."""

    what: str
    then: str


OURS: dict[str, Explanation] = {
    "internal": Explanation(
        "An unexpected error.",
        "The request's log and the server's log have the traceback. If it names Pondage's own code, it is a bug.",
    ),
    "setup": Explanation(
        "A setting, a file or this machine is not set up correctly.",
        "The message says what; `pondage doctor` checks it.",
    ),
    "setup.extra_missing": Explanation(
        "This part of Pondage is an extra, and its packages are not installed here.",
        "The message names the extra; docs/installing.md has the command. `pondage doctor` says what is there.",
    ),
    "setup.data_in_use": Explanation(
        "Another gateway holds the data folder.", "Stop the process that the message names, or give another `--data`."
    ),
    "setup.database_too_new": Explanation(
        "The database was written by a newer version of Pondage.",
        "Install that version or a newer one. There is no way back but a backup from before.",
    ),
    "setup.database_lost": Explanation(
        "The data folder has stored files, but its database is missing or empty: it was lost, or it is another folder.",
        "Restore a backup into an empty folder: `pondage restore BACKUP --data NEW`. To begin anew, move `files` away.",
    ),
    "setup.keys_lost": Explanation(
        "Keys were made in this data folder (the file `keyed` is there), but its database has none: it is another one. "
        "A start would open the server to every program of the machine.",
        "Restore a backup, or make a key: `pondage keys create NAME --scopes admin --data FOLDER`. To have an open "
        "server again, delete the file `keyed`.",
    ),
    "setup.database_damaged": Explanation(
        "The database fails its integrity check, so nothing is served from it.",
        "Restore a backup into an empty folder: `pondage restore BACKUP --data NEW`. Keep the damaged folder.",
    ),
    "app.load": Explanation(
        "An app cannot be imported, or its class is not valid.",
        "The message names file and line. The server stays up for the others and tries again by itself.",
    ),
    "request.bad": Explanation("The request is malformed, or its result is not ready yet.", "The detail says why."),
    "request.not_found": Explanation(
        "There is no such app, path, request or file, or it is another key's.",
        "`pondage apps` lists apps and paths; the message has near names. Requests are kept for `retention`.",
    ),
    "request.method": Explanation(
        "The address is known, but not with this HTTP method.", "Use one of the `Allow` header."
    ),
    "request.too_many": Explanation(
        "A limit such as `max_queue_length` is reached. Nothing was started.", "Try again later."
    ),
    "auth.unauthorized": Explanation(
        "The key or token is missing, wrong, expired or revoked.",
        "Send `Authorization: Key id:secret`; `pondage keys create NAME` makes one on the server's machine.",
    ),
    "auth.forbidden": Explanation(
        "The key is valid but lacks the scope or the app, or the web page's origin is not allowed.",
        "Use a key with the scope that the message names; allow a page's origin with `--cors`.",
    ),
    "input.invalid": Explanation(
        "The input does not match the endpoint's type, or an idempotency key was reused with another body.",
        "The entries of `detail` name each field, what was expected, and what came.",
    ),
    "input.too_large": Explanation(
        "The body is larger than `max_input_bytes` (16 MiB).", "Upload files first and send their URLs."
    ),
    "input.arguments": Explanation("A command's arguments are wrong.", "`pondage VERB --help` lists them."),
    "input.unknown_field": Explanation(
        "The endpoint has no field of that name.",
        "The message lists its fields. To send it all the same, give the whole input as JSON.",
    ),
    "input.file": Explanation("A file that the command needs cannot be used.", "The message names it."),
    "input.unknown_verb": Explanation("There is no such command.", "`pondage --help` lists them."),
    "request.misdirected": Explanation(
        "The request came under a host name that this server does not answer to.",
        "Call it by its address. A server that asks for no key takes loopback names alone; make a key for any other.",
    ),
    "files.damaged": Explanation(
        "The stored bytes differ from those that were written, so they are not served.",
        "Store the file again, or restore a backup; look at the disk.",
    ),
    "outbound.failed": Explanation("An address that a user gave could not be used.", "The message names it and why."),
    "outbound.refused": Explanation(
        "This address is not allowed: it is private, or not http(s).",
        "Use a public one, or allow private ones with `allow_private_urls` (inputs) or `webhook_private` (webhooks).",
    ),
    "outbound.unreachable": Explanation(
        "The address does not answer, or is too slow.", "Try the address from the server's machine."
    ),
    "outbound.bad_answer": Explanation(
        "The address answers with an error, or redirects too often.", "Try the address from the server's machine."
    ),
    "outbound.too_large": Explanation("The file at that address is larger than the limit.", "See `fetch_max_bytes`."),
    "webhook.no_answer": Explanation(
        "The webhook's receiver did not answer, or its address is not allowed.",
        "Pondage tries again; `pondage webhooks show ID` has each try.",
    ),
    "app.exception": Explanation("The app ended the request with `AppException`.", "Its message says why."),
    "app.field": Explanation("The app rejected a field with `FieldException`.", "The entry in `detail` says which."),
    "app.cancelled": Explanation("The app stopped because its request was cancelled.", "Nothing to do."),
    "app.retry": Explanation(
        "The app asked for another attempt, and its strikes are used up.", "Its message says why."
    ),
    "app.header": Explanation("A header of the caller's does not fit.", "The entry in `detail` names the header."),
    "app.gpu": Explanation("The GPU failed under the request.", "The runner's log says how; the runner is replaced."),
    "app.gpu_out_of_memory": Explanation(
        "The GPU's memory was not enough.", "Ask for less at once, or give the app a larger device."
    ),
    "app.cuda_out_of_memory": Explanation(
        "The GPU's memory was not enough, as CUDA says.", "Ask for less at once, or give the app a larger device."
    ),
    "app.file_too_large": Explanation("The app takes no file of this size.", "Send a smaller one."),
    "app.file_upload": Explanation("The app could not store a file.", "The message says why."),
    "app.unauthenticated": Explanation("The app made a call that needs a key, and had none.", "Give the app the key."),
    "app.toolkit": Explanation("A part of `pondage.toolkit` failed.", "The message says which and why."),
    "app.upload": Explanation("The app could not store a file through `pondage.toolkit`.", "The message says why."),
    "app.kv": Explanation(
        "A `KVStore` of the app could not be read or written.", "The message names the file; look at the disk."
    ),
    "app.media": Explanation("A picture, sound, film or file of the input cannot be used.", "See the field types."),
    "app.download": Explanation(
        "`pondage.toolkit` could not fetch weights or a repository.", "The message names the address and why."
    ),
    "files.range": Explanation("The part of a file that was asked for lies beyond its end.", "Ask for less."),
    "server.unavailable": Explanation(
        "The server cannot take this now, for example while it stops. Nothing was started.", "Try again."
    ),
    "server.outcome_delayed": Explanation(
        "The request was begun, and the server's disk takes nothing more, so its outcome is not on record yet. "
        "It is not lost.",
        "Make room on the server's disk; read the result later by the id in `X-Fal-Request-Id`.",
    ),
    "server.disk_full": Explanation(
        "The server's disk, or the quota of its files, is full. Nothing was begun.",
        "Make room, or lower `retention`, `retention_bytes` or `file_retention`.",
    ),
    "server.unreachable": Explanation(
        "Nothing answers at the address.",
        "Start a server with `pondage serve app.py`, or give its address: `--server`, `PONDAGE_URL`.",
    ),
    "server.unknown_host": Explanation("There is no host of that name.", "Check the name; then the name server."),
    "server.certificate": Explanation(
        "The server answers with https, but its certificate is not trusted here, or names another host.",
        "Set `SSL_CERT_FILE` to the authority's certificate: `serve --tls-dev` prints its place.",
    ),
    "server.tls": Explanation("The address begins with https, but the server speaks http.", "Give it as http://…"),
    "server.proxy": Explanation(
        "A proxy that the environment names stands between, and no answer came through it.",
        "Set `NO_PROXY` to the server's host, or correct `HTTP_PROXY`, `HTTPS_PROXY` or `ALL_PROXY`.",
    ),
    "server.no_answer": Explanation(
        "A connection came about and was closed without an answer.",
        "A server that wants https does so to http: try https://… Else read the server's log.",
    ),
    "files.unreachable": Explanation(
        "The host in a file's URL does not answer, though the server does.",
        "The server makes URLs of its `public_url`, or of the address it was called by: correct that setting.",
    ),
    "request.timeout": Explanation(
        "The caller's time limit ran out; the request is still running.", "Ask for it by its id later."
    ),
    "webhook.refused": Explanation(
        "Signature check failed: reject this webhook.", "Answer it with the error's `status`."
    ),
    "webhook.unsigned": Explanation(
        "The webhook has no signature of an expected kind.",
        "Pass the headers as they came, and the secret or the address of the keys.",
    ),
    "webhook.forged": Explanation(
        "No signature matches the body and the keys.", "Verify the raw bytes of the body, before any JSON is parsed."
    ),
    "webhook.outdated": Explanation(
        "The webhook was signed too long ago, or in the future.",
        "Check the clock; if it is right, this is a replay.",
    ),
    "webhook.keys_missing": Explanation("The sender's public keys could not be fetched.", "The sender tries again."),
    "client": Explanation("The root of what the client raises.", "Catch the kinds below it."),
    "client.credentials": Explanation("fal's own hosts need a key.", "Pass `key=`, or set `FAL_KEY`."),
    "client.not_finite": Explanation(
        "An input holds NaN or an infinity, which JSON does not have. Nothing was sent.",
        "The message names the member; give a number, or leave it out.",
    ),
    "client.http": Explanation(
        "The server answered with an error.", "`status_code`, `detail` and `error_type` say which."
    ),
    "client.bad_request": Explanation("Status 400.", "The detail says why."),
    "client.unauthorized": Explanation("Status 401: see auth.unauthorized.", "Pass `key=`, or set `PONDAGE_KEY`."),
    "client.forbidden": Explanation("Status 403: see auth.forbidden.", "Use a key with the right."),
    "client.not_found": Explanation("Status 404: see request.not_found.", "Check the endpoint or the request's id."),
    "client.too_large": Explanation("Status 413: see input.too_large.", "Upload files first."),
    "client.invalid_input": Explanation("Status 422: see input.invalid.", "`error.fields` says which fields."),
    "client.too_many": Explanation("Status 429, after the client's own repeats.", "Try again later."),
    "client.cancelled": Explanation("The request was cancelled.", "Submit it again if it is still wanted."),
    "client.server": Explanation("Status 5xx.", "`error_type` and the request's log say why."),
    "client.start_timeout": Explanation(
        "No runner started the request within `start_timeout`.", "Allow more time, or more runners."
    ),
    "client.connection": Explanation("No answer came.", "Check the address and the network; see server.unreachable."),
    "client.timeout": Explanation(
        "The caller's time limit ran out; if it was on a request, that was cancelled.", "Allow more time."
    ),
    "client.output": Explanation(
        "The answer is not JSON, or does not match `output_type`.", "Compare the type with the endpoint's OpenAPI."
    ),
    "client.upload": Explanation(
        "A big upload stopped halfway.", "Call `upload_file(path, resume=error.session)`: only what is missing is sent."
    ),
    "client.realtime": Explanation(
        "A realtime session ended, or an input of it failed.", "`error` and `reason` say why."
    ),
}

INFRASTRUCTURE: dict[str, Explanation] = {
    "request_timeout": Explanation(
        "The time to start (504) or the time to run is over.",
        "Raise `start_timeout` at the caller, or `request_timeout` of the app.",
    ),
    "startup_timeout": Explanation(
        "From fal's cloud only: the app's `setup()` took too long.",
        "Here such a request waits and its status says why; raise `startup_timeout` of the app.",
    ),
    "runner_disconnected": Explanation(
        "The runner died while running the request, `max_strikes` times.",
        "Its last output is in the request's log; memory and native crashes are the usual reasons.",
    ),
    "runner_scheduling_failure": Explanation(
        "The app does not import, or its `setup()` fails, and this request did not wait for its author any longer.",
        "The message has the reason; `pondage runners logs APP` the traceback. See `fault_patience` and `on_fault`.",
    ),
    "runner_server_error": Explanation(
        "A device failed (out of memory, say) while running the request, in two runners one after the other.",
        "The message is the framework's own. Ask for less at once, or give the app a larger device.",
    ),
    "client_cancelled": Explanation("The caller cancelled the request.", "Nothing to do."),
    "client_disconnected": Explanation(
        "The caller disconnected, which cancels this request.", "Send `Pondage-On-Disconnect: keep`, or use the queue."
    ),
    "bad_request": Explanation("See request.bad.", "The detail says why."),
    "internal_error": Explanation("See internal.", "Read the request's log."),
    "disk_full": Explanation("See server.disk_full.", "Make room."),
    "outcome_delayed": Explanation("See server.outcome_delayed.", "Read the result later."),
}

FIELDS: dict[str, Explanation] = {
    "too_many_errors": Explanation(
        "There are more errors than `detail` lists; the last entry says how many.", "Fix the listed ones first."
    ),
    "missing": Explanation("A required field is missing.", "Send it."),
    "value_error": Explanation("A field's value is not valid.", "The message says why."),
    "internal_server_error": Explanation("The app raised an exception of its own.", "Its log has the traceback."),
    "generation_timeout": Explanation("The app gave up after its own time limit.", "Ask for less, or raise the limit."),
    "file_download_error": Explanation(
        "A URL in the input could not be fetched, or is not allowed.",
        "Addresses of private networks are refused unless the server allows them (`allow_private_urls`).",
    ),
    "idempotency_key_reused": Explanation(
        "The `Idempotency-Key` was used for a request with another input.", "Use a new key for each new request."
    ),
    "url": Explanation("The webhook's URL is none that can be called.", "Give an absolute http or https URL."),
    "file_too_large": Explanation("A file of the input is too large.", "Send a smaller one."),
    "image_load_error": Explanation("The file is not an image that can be read.", "Send PNG, JPEG, WebP or GIF."),
    "invalid_archive": Explanation("The file is not an archive that can be read.", "Send a zip or tar."),
    "archive_file_count_exceeded": Explanation("An archive of the input has too many files.", "Send fewer."),
    "image_too_small": Explanation("The image has too few pixels.", "Send a larger one."),
    "image_too_large": Explanation("The image has too many pixels.", "Send a smaller one; see `max_image_pixels`."),
}

ALL: dict[str, Explanation] = {**OURS, **INFRASTRUCTURE, **FIELDS}


def explained(code: str) -> Explanation | None:
    """What a code means: one of the table, a status of HTTP (`http.502`), or one of Pydantic's error types."""
    if code in ALL:
        return ALL[code]
    if code.startswith("http."):
        return _status(code.removeprefix("http."))
    return _pydantic(code)


def _status(number: str) -> Explanation | None:
    from http import HTTPStatus

    try:
        phrase = HTTPStatus(int(number)).phrase
    except ValueError:
        return None
    return Explanation(
        f"The server, or a proxy before it, answered with status {number} ({phrase}) and no code of its own.",
        "The message is what it said. Is the address the server's? `pondage doctor` asks it.",
    )


def _pydantic(code: str) -> Explanation | None:
    from pydantic_core._pydantic_core import list_all_errors  # public in no other place

    for known in list_all_errors():
        if known["type"] == code:
            what = known["message_template_python"].rstrip(".")
            return Explanation(
                f"A field of the input does not fit its type. {what}.", "Correct the field that is named."
            )
    return None
