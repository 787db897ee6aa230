"""`pondage completion`: a script with which a shell completes verbs, actions, flags and their values."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from pondage.cli import exits

HELP = "print a completion script for bash, zsh or fish"

HOW = {
    "bash": 'eval "$(pondage completion bash)"      in ~/.bashrc',
    "zsh": 'eval "$(pondage completion zsh)"       in ~/.zshrc, after compinit',
    "fish": "pondage completion fish | source       in ~/.config/fish/config.fish",
}


class Place(NamedTuple):
    """What may follow `pondage`, a verb, or a verb and its action: words with what they do, and the flags that take
    one of a few values."""

    words: dict[str, str]
    values: dict[str, list[str]]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=tuple(HOW), help="the shell to print a script for")
    parser.epilog = "To use it: " + "; ".join(HOW.values())


def run(args: argparse.Namespace) -> int:
    text = {"bash": _bash, "zsh": _zsh, "fish": _fish}[args.shell](places())
    if args.json:
        args.terminal.result_json({"shell": args.shell, "script": text})
    else:
        args.terminal.result(text)
    return exits.OK


def places() -> dict[str, Place]:
    """Each place, by the words that lead there: "", "keys", "keys create"."""
    from pondage.cli.dispatch import available, load, parser_of

    found = {"": Place({verb: str(load(verb).HELP) for verb in available()}, {})}
    for verb in available():
        _add(found, verb, parser_of(verb))
    return found


def _add(found: dict[str, Place], path: str, parser: argparse.ArgumentParser) -> None:
    words: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            words |= {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, below in action.choices.items():
                _add(found, f"{path} {name}", below)
        elif action.help is not argparse.SUPPRESS:
            for option in action.option_strings:
                words[option] = action.help or ""
                if action.choices:
                    values[option] = [str(choice) for choice in action.choices]
            if not action.option_strings and action.choices:
                words |= dict.fromkeys((str(choice) for choice in action.choices), action.help or "")
    found[path] = Place(words, values)


_BASH = """\
# bash completion of pondage
_pondage() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at= word words=
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "${at:+$at }$word" in
%(steps)s            *) ;;
        esac
    done
    case "$at:$prev" in
%(values)s        *) case "$at" in
%(words)s        esac ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    [[ ${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY=($(compgen -f -- "$cur"))
}
complete -F _pondage pondage
"""


def _bash(found: dict[str, Place]) -> str:
    return _BASH % {
        "steps": "".join(f'            "{path}") at="{path}" ;;\n' for path in found if path),
        "values": "".join(
            f'        "{path}:{option}") words="{" ".join(values)}" ;;\n'
            for path, place in found.items()
            for option, values in place.values.items()
        ),
        "words": "".join(
            f'            "{path}") words="{" ".join(place.words)}" ;;\n' for path, place in found.items()
        ),
    }


_ZSH = """\
#compdef pondage
_pondage() {
    local at= word prev=$words[CURRENT-1]
    local -a said
    for word in "${(@)words[2,CURRENT-1]}"; do
        case "${at:+$at }$word" in
%(steps)s            *) ;;
        esac
    done
    case "$at:$prev" in
%(values)s        *) case "$at" in
%(words)s        esac ;;
    esac
    _describe pondage said || _files
}
compdef _pondage pondage
"""


def _zsh(found: dict[str, Place]) -> str:
    def said(words: dict[str, str]) -> str:
        return " ".join(_quoted(f"{word.replace(':', chr(92) + ':')}:{text}") for word, text in words.items())

    return _ZSH % {
        "steps": "".join(f'            "{path}") at="{path}" ;;\n' for path in found if path),
        "values": "".join(
            f'        "{path}:{option}") said=({said(dict.fromkeys(values, ""))}) ;;\n'
            for path, place in found.items()
            for option, values in place.values.items()
        ),
        "words": "".join(f'            "{path}") said=({said(place.words)}) ;;\n' for path, place in found.items()),
    }


_FISH = """\
# fish completion of pondage
function __pondage_at
    set -l at
    for word in (commandline -opc)[2..]
        set -l next (string join -- ' ' $at $word)
        contains -- "$next" %(paths)s; and set at $next
    end
    test "$at" = "$argv[1]"
end
"""


def _fish(found: dict[str, Place]) -> str:
    lines = [_FISH % {"paths": " ".join(_quoted(path) for path in found if path)}]
    for path, place in found.items():
        here = f"complete -c pondage -n {_quoted(f'__pondage_at {_quoted(path)}')}"
        for word, text in place.words.items():
            about = f"-d {_quoted(text)}"
            if word.startswith("--"):
                values = place.values.get(word)
                lines.append(f"{here} -l {word[2:]} {about}" + (f" -xa {_quoted(' '.join(values))}" if values else ""))
            elif word.startswith("-"):
                lines.append(f"{here} -s {word[1:]} {about}")
            else:
                lines.append(f"{here} -fa {word} {about}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """For all three shells: in double quotes, since help texts have apostrophes."""
    for special in ("\\", '"', "$", "`"):
        text = text.replace(special, "\\" + special)
    return f'"{text}"'
