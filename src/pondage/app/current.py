"""`pondage.current_request`: the request that the calling code serves, wherever it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pondage.app.context import RequestContext, get_current_request


class CurrentRequest:
    """Stands for the current request: its attributes are those of `RequestContext`.

    It is false outside of a request; an attribute then raises RuntimeError.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        request = get_current_request()
        if request is None:
            raise RuntimeError(f"current_request.{name}: no request is being served here")
        return getattr(request, name)

    def __bool__(self) -> bool:
        return get_current_request() is not None

    def __repr__(self) -> str:
        return f"<current_request: {get_current_request()!r}>"


if TYPE_CHECKING:
    current_request: RequestContext
else:
    current_request = CurrentRequest()
