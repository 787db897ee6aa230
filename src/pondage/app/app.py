"""`App`: the class that an author writes. It has the shape of fal's `App` (PROTOCOL 11)."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

from pondage.app.context import RequestContext, get_current_request
from pondage.app.endpoints import MARK, Declaration
from pondage.wire.ids import app_name_of

KEYWORDS = frozenset(
    {
        "app_name", "max_multiplexing", "min_concurrency", "max_concurrency", "concurrency_buffer", "keep_alive",
        "request_timeout", "request_start_timeout", "startup_timeout", "termination_grace_period_seconds",
        "payload_ttl", "max_strikes", "retry_streams", "on_fault", "num_gpus", "version", "env", "pass_env",
    }
)  # fmt: skip
"""Attributes that are class keywords, too; all but `num_gpus` mean something here."""

ENVIRONMENTS = ("inherit", "named")

IGNORED = frozenset(
    {
        "requirements", "requirements_context_dir", "local_python_modules", "machine_type", "regions", "image", "kind",
        "app_auth", "app_files", "app_files_ignore", "app_files_context_dir", "concurrency_buffer_perc",
        "scaling_delay", "skip_retry_conditions", "retry_config", "metrics_port", "secrets", "data_mounts",
        "resolver", "python_version", "_scheduler", "serve", "exposed_port", "setup_function", "max_restarts",
        "private_logs", "health_check_path",
    }
)  # fmt: skip
"""fal's attributes that mean nothing on one's own machines: accepted, and named once when the app is served."""


class App:
    """An app: `setup()` and one or more endpoints. Attributes may be given in the body or as class keywords.

    ::

        class Upper(pondage.App, name="acme/upper", max_multiplexing=8):
            @pondage.endpoint("/")
            def run(self, text: str) -> str:
                return text.upper()

    Attributes:
        app_name: `owner/alias` or `alias`; the keyword is `name`. From the class name, in kebab-case, by default.
        max_multiplexing: requests that one runner executes at once.
        min_concurrency: runners that are always kept.
        max_concurrency: most runners.
        concurrency_buffer: runners that are kept beyond those in use.
        keep_alive: seconds that an idle runner beyond `min_concurrency` stays.
        request_timeout: seconds that one attempt may run.
        request_start_timeout: seconds that a request may wait for a runner.
        payload_ttl: seconds after its end for which a request's input and output are kept; None: as long as it is.
        startup_timeout: seconds that `setup()` may take.
        termination_grace_period_seconds: time that running requests get at a stop.
        max_strikes: attempts that a request may spoil before it ends with an error.
        retry_streams: whether a stream may run again after its caller has seen chunks.
        on_fault: what becomes of waiting requests while the app does not import or its `setup()` fails: `wait` for the
            author, or `fail` after the server's `fault_patience`. Direct callers never wait longer than that.
        num_gpus: accepted for fal's sake: each runner is given one of the machine's GPUs in turn, whatever it says.
        env: "inherit" gives the app's process the server's environment without its secrets; "named" only what
            programs need, and what `pass_env` names.
        pass_env: names, or patterns such as `AWS_*`, of variables that the process gets in any case.
        host_kwargs: fal's dictionary of further options; `keep_alive` in it counts.
    """

    app_name: ClassVar[str | None] = None
    max_multiplexing: ClassVar[int | None] = None
    min_concurrency: ClassVar[int | None] = None
    max_concurrency: ClassVar[int | None] = None
    concurrency_buffer: ClassVar[int | None] = None
    keep_alive: ClassVar[float | None] = None
    request_timeout: ClassVar[float | None] = None
    request_start_timeout: ClassVar[float | None] = None
    payload_ttl: ClassVar[float | None] = None
    startup_timeout: ClassVar[float | None] = None
    termination_grace_period_seconds: ClassVar[float | None] = None
    max_strikes: ClassVar[int | None] = None
    retry_streams: ClassVar[bool] = False
    on_fault: ClassVar[Literal["wait", "fail"] | None] = None
    num_gpus: ClassVar[int | None] = None
    version: ClassVar[str] = ""
    # Of any type, since apps that were not written for us use the short name for something of their own.
    env: ClassVar[Any] = "inherit"
    pass_env: ClassVar[Sequence[str]] = ()
    host_kwargs: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls, *, name: str | None = None, **keywords: Any) -> None:
        super().__init_subclass__()
        for keyword, value in keywords.items():
            if keyword not in KEYWORDS and keyword not in IGNORED:
                near = difflib.get_close_matches(keyword, [*KEYWORDS, "name"], 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise TypeError(f"class {cls.__name__}: there is no class keyword {keyword!r}{hint}")
            setattr(cls, keyword, value)
        _check_environment(cls, strict="env" in keywords)
        if name is not None:
            cls.app_name = name
        elif "app_name" not in cls.__dict__:
            cls.app_name = app_name_of(cls.__name__)

    # ---- what an author overrides

    def setup(self) -> Any:
        """Called once before the first request; may be `async`. Load the model here."""

    def teardown(self) -> Any:
        """Called when the runner stops, after its last request; may be `async`."""

    def handle_exit(self) -> Any:
        """Called when the runner is told to stop, while requests may still be running."""

    def health(self) -> dict[str, Any]:
        """What a call of `/health` answers. Nothing here depends on it: the runner's heartbeats decide."""
        return {"version": self.version}

    def provide_hints(self) -> list[str]:
        """Words that are sent with each result in `X-Fal-Runner-Hints`. Nothing here chooses a runner by them."""
        return []

    # ---- what an author uses

    @property
    def current_request(self) -> RequestContext | None:
        """The request that the calling code serves; None outside of one."""
        return get_current_request()


def _check_environment(cls: type[App], *, strict: bool) -> None:
    env, passed = cls.env, cls.pass_env
    near = isinstance(env, str) and difflib.get_close_matches(env, ENVIRONMENTS, 1)
    if env not in ENVIRONMENTS and (strict or near):
        raise TypeError(f"class {cls.__name__}: env is 'inherit' or 'named', got {env!r}")
    if isinstance(passed, str) or not all(isinstance(name, str) for name in passed):
        raise TypeError(f"class {cls.__name__}: pass_env is a list of names of variables, got {passed!r}")


def endpoints_of(cls: type[App]) -> dict[str, tuple[Declaration, Callable[..., Any]]]:
    """The endpoints of an app by path, in the order of their definition, base classes first.

    Raises:
        TypeError: the class has none, or two with one path.
    """
    found: dict[str, tuple[Declaration, Callable[..., Any]]] = {}
    for name in dict.fromkeys(name for base in reversed(cls.__mro__) for name in base.__dict__):
        function = inspect.getattr_static(cls, name)
        no_method = isinstance(function, staticmethod | classmethod)
        declaration = getattr(function.__wrapped__ if no_method else function, MARK, None)
        if not isinstance(declaration, Declaration):
            continue
        if no_method:
            raise TypeError(f"{cls.__name__}.{name} is a {type(function).__name__}; an endpoint is a method with self")
        if isinstance(function, functools.partialmethod):
            function = function.__get__(None, cls)
        if declaration.path in found:
            other = getattr(found[declaration.path][1], "__name__", "another")
            raise TypeError(f"{cls.__name__}: {other} and {name} both serve {declaration.path!r}")
        found[declaration.path] = (declaration, function)
    if not found:
        raise TypeError(f"{cls.__name__} has no endpoint: decorate a method with @pondage.endpoint('/')")
    return found


def ignored_attributes(cls: type[App]) -> list[str]:
    """Which of fal's attributes, and of the arguments of endpoints, are set and mean nothing here; sorted."""
    own = {name for base in cls.__mro__[:-2] for name in base.__dict__}
    inert = {name for name in ("num_gpus",) if getattr(cls, name) is not None}
    declared = [getattr(inspect.getattr_static(cls, name), MARK, None) for name in own]
    checked = any(isinstance(one, Declaration) and one.health_check is not None for one in declared)
    given = {"endpoint(health_check=…)"} if checked else set[str]()
    return sorted((own & IGNORED) | inert | given | (cls.host_kwargs.keys() - KEYWORDS))
