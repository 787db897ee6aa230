"""Deleting what a request brought and returned, as fal's platform API has it."""

from __future__ import annotations

from pondage.errors import BadRequest, RequestError
from pondage.files.interface import file_ids
from pondage.gateway import answers
from pondage.gateway.access import require
from pondage.gateway.call import Call, Response
from pondage.gateway.requests import is_own, visible
from pondage.wire.states import State


async def delete(call: Call) -> Response:
    """Drop the input and output of a request that has ended, and the files of its output that belong to its key. The
    request, its outcome and its log stay.

    Raises:
        BadRequest: it has not ended.
    """
    view = await visible(call, "read-all or operate")
    require(call.caller, "submit or operate" if is_own(call.caller, view) else "operate")
    if view.state is not State.DONE:
        raise BadRequest("Request is still in progress")
    outcome = await call.rooms.queue.outcome(view.id)
    await call.rooms.queue.forget_payloads(view.id)
    results = []
    for file_id in sorted(file_ids(outcome.body)) if outcome is not None else ():
        info = await call.rooms.files.info(f"/files/{file_id}/")
        if info is None or info.owner != view.caller:
            continue
        exception = None
        try:
            await call.rooms.uploads.remove(info)
        except (RequestError, OSError) as error:
            exception = str(error)
        results.append({"link": call.origins.cdn + info.path, "exception": exception})
    return answers.json({"cdn_delete_results": results}, request_id=view.id)
