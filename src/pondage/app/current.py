"""`pondage.current_request`: the request that the calling code serves, wherever it is asked; and the app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pondage.app.context import RequestContext, get_current_request

if TYPE_CHECKING:
    from pondage.app.app import App


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


_app: App | None = None


def get_current_app() -> App | None:
    """The app of this runner, from before its `setup()`; None in a process that is no runner."""
    return _app


def set_current_app(app: App | None) -> None:
    """Say which app it is; the runner does."""
    global _app
    _app = app


if TYPE_CHECKING:
    current_request: RequestContext
else:
    current_request = CurrentRequest()
