"""From the arguments to a verb and back to an exit code."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from pondage.cli import VERBS, exits
from pondage.cli.terminal import Parser, Terminal, drop_output, say_before


def dispatch(arguments: list[str]) -> int:
    """Run the verb that the arguments name."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        say_before(_overview())
        return exits.OK if arguments else exits.BAD_INPUT
    if arguments[0] in ("-V", "--version", "version"):
        from pondage import __version__

        say_before(f"pondage {__version__}")
        return exits.OK
    verb = arguments[0]
    if verb not in available():
        return _unknown(verb)
    module, parser = load(verb), parser_of(verb)
    try:
        args = parser.parse_intermixed_args(arguments[1:]) if verb == "call" else parser.parse_args(arguments[1:])
    except SystemExit as stop:
        return int(stop.code or 0)
    return _run(module, args)


def available() -> list[str]:
    """The verbs that this installation has."""
    return [verb for verb, name in VERBS.items() if find_spec(f"pondage.cli.{name}") is not None]


def load(verb: str) -> ModuleType:
    """The module of a verb."""
    return import_module(f"pondage.cli.{VERBS[verb]}")


def parser_of(verb: str) -> Parser:
    """What reads the arguments of a verb."""
    module = load(verb)
    parser = Parser(prog=f"pondage {verb}", description=module.HELP, allow_abbrev=False)
    _common(parser)
    module.configure(parser)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    shared = parser.add_argument_group("everywhere")
    shared.add_argument("--json", action="store_true", help="print the result as JSON")
    shared.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    shared.add_argument("-v", "--verbose", action="store_true", help="print details and full tracebacks")


def _run(module: ModuleType, args: argparse.Namespace) -> int:
    args.terminal = Terminal(json=args.json, level=-1 if args.quiet else 1 if args.verbose else 0)
    with ExitStack() as args.at_end:
        try:
            return int(module.run(args))
        except KeyboardInterrupt:
            return exits.STOPPED
        except BrokenPipeError:
            drop_output()
            return exits.OK
        except Exception as error:
            from pondage.cli.failures import report

            return report(error, args)


def _overview() -> str:
    import ast
    from pathlib import Path

    lines = ["usage: pondage VERB …", ""]
    for verb in available():
        # The help line is read from the source, so that listing the verbs imports none of them.
        source = (Path(__file__).parent / f"{VERBS[verb]}.py").read_text("utf-8")
        for node in ast.parse(source).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "HELP":
                lines.append(f"  {verb:<10} {ast.literal_eval(node.value)}")
    return "\n".join([*lines, "", "pondage VERB --help says more. Also: --version."])


def _unknown(verb: str) -> int:
    from difflib import get_close_matches

    if verb in VERBS:
        say_before(f"error[input.unknown_verb]: pondage {verb} is not part of this installation", error=True)
        return exits.BAD_INPUT
    near = get_close_matches(verb, available(), 1)
    say_before(f"error[input.unknown_verb]: there is no pondage {verb}", error=True)
    say_before(f"  did you mean: pondage {near[0]}" if near else "  pondage --help lists the verbs", error=True)
    return exits.BAD_INPUT
