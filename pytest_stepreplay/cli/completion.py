"""`stepreplay completion`: what bash, zsh and fish need to complete commands, options, cassettes and ids of tests.

It prints a script for the shell, which calls this command again whenever somebody presses Tab: what is known of the
commands stands in the commands themselves, and cassettes and tests change. Nobody else pays for it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import StepReplayError
from . import naming
from .command import HELP, Command, Operand, Option, one_of
from .project import display
from .terminal import echo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from .naming import Named

CANDIDATES: Final = "candidates"
"""In place of a shell's name: print what the last of the words behind ``--`` may become."""

_CHOICES: Final = re.compile(r"\[([^\[\]]+\|[^\[\]]+)\]\Z")
_PENDING: Final = frozenset({"accept", "reject", "review"})
_NAMED: Final = frozenset({"cassette", "cassettes", "a", "b"})
_PATHS: Final = frozenset({"paths", "sources", "files", "file"})

_BASH: Final = r"""
_stepreplay() {
    local rest=${COMP_LINE:0:COMP_POINT} words=() count=0 word glued head= mark found i
    # bash ends a word at each colon, and ids of tests have some.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        glued=1
        [[ $rest == [[:space:]]* ]] && glued=
        rest=${rest#"${rest%%[![:space:]]*}"}
        word=${COMP_WORDS[i]}
        ((i == COMP_CWORD)) && word=$rest
        rest=${rest#"$word"}
        [[ $glued && $count -gt 0 ]] && word=${words[count - 1]}$word || ((count++))
        words[count - 1]=$word
    done
    for ((i = 0; i < count; i++)); do words[i]=${words[i]//[\\\"\']/}; done
    word=${words[count - 1]}
    for mark in : =; do
        if [[ $COMP_WORDBREAKS == *$mark* && $word == *$mark* ]]; then
            found=${word%"${word##*$mark}"}
            ((${#found} > ${#head})) && head=$found
        fi
    done
    COMPREPLY=()
    while IFS=$'\t' read -r found _; do
        found=${found#"$head"}
        [[ $found ]] && COMPREPLY+=("$(printf '%q' "$found")")
    done < <(command stepreplay completion candidates -- "${words[@]:1}" 2>/dev/null)
    return 0
}
complete -o default -F _stepreplay stepreplay
"""
_ZSH: Final = r"""
#compdef stepreplay
_stepreplay() {
    local -a found
    local line
    while IFS= read -r line; do
        found+=("${${line%%$'\t'*}//:/\\:}${${line#*$'\t'}:+:${line#*$'\t'}}")
    done < <(command stepreplay completion candidates -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    if (( ${#found} )); then _describe -V stepreplay found; else _files; fi
}
compdef _stepreplay stepreplay
"""
_FISH: Final = r"""
function __stepreplay_candidates
    set -l words (commandline -opc) (commandline -ct)
    command stepreplay completion candidates -- $words[2..-1] 2>/dev/null
end
complete -c stepreplay -a '(__stepreplay_candidates)'
"""
SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def completing(commands: Mapping[str, tuple[str, Callable[[], Command]]], version: str) -> Command:
    """Returns the command, which has to know all of them.

    Args:
        commands: what each is for, and the command itself.
        version: the option that is no command's.
    """

    def run(shell: str, words: tuple[str, ...]) -> int:
        if shell == CANDIDATES:
            for value, text in _candidates(list(words) or [""], commands, version):
                echo(f"{value}\t{text}")
        else:
            echo(SCRIPTS[shell].strip())
        return 0

    return Command(
        name="completion",
        description="""
        Print what a shell needs to complete commands, options, cassettes and the ids of tests.

        SHELL is bash, zsh or fish. Have the shell read it whenever it starts, as the examples do for each of them.
        """,
        examples=(
            'eval "$(stepreplay completion bash)"    # in ~/.bashrc',
            'eval "$(stepreplay completion zsh)"     # in ~/.zshrc, below compinit',
            "stepreplay completion fish | source     # in ~/.config/fish/config.fish",
        ),
        operands=(
            Operand("shell", read=one_of((*SCRIPTS, CANDIDATES))),
            Operand("words", "any"),
        ),
        run=run,
    )


def _candidates(
    words: Sequence[str], commands: Mapping[str, tuple[str, Callable[[], Command]]], version: str
) -> Iterator[tuple[str, str]]:
    """Yields what the last word may become, and what that is."""
    *before, word = words
    if not before:
        known = [(name, text) for name, (text, _) in commands.items()]
        if word.startswith("-"):
            known = [(version, "Show the version and exit."), *_flags([HELP])]
        yield from _that_begin(word, known)
        return
    if before[0] not in commands:
        return
    command = commands[before[0]][1]()
    options = (*command.options, HELP)
    ended = "--" in before
    asked = None if ended else _option_before(before[1:], options)
    if asked is not None:
        yield from _that_begin(word, ((choice, "") for choice in _choices_of(asked)))
    elif not ended and word.startswith("-") and "=" in word:
        flag, _, begun = word.partition("=")
        option = next((each for each in options if flag in each.flags), None)
        for choice in _choices_of(option) if option else ():
            if choice.startswith(begun):
                yield f"{flag}={choice}", ""
    elif not ended and word.startswith("-"):
        yield from _that_begin(word, _flags(options))
    elif command.name == "completion":
        yield from _that_begin(word, ((shell, "") for shell in SCRIPTS) if len(before) == 1 else ())
    else:
        yield from _cassettes(word, command, before[1:])


def _that_begin(word: str, known: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    return ((value, text) for value, text in known if value.startswith(word))


def _flags(options: Iterable[Option]) -> list[tuple[str, str]]:
    return [(flag, option.text) for option in options for flag in option.flags if flag.startswith("--")]


def _option_before(words: Sequence[str], options: Iterable[Option]) -> Option | None:
    """Returns the option whose value comes next."""
    last = words[-1] if words else ""
    found = (each for each in options if last in each.flags and not each.label.endswith(each.flags[-1]))
    return next(found, None)


def _choices_of(option: Option) -> list[str]:
    found = _CHOICES.search(option.label)
    return found[1].split("|") if found else []


def _cassettes(word: str, command: Command, before: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields the cassettes and the tests that a word may name; nothing where none is meant."""
    names = {operand.name for operand in command.operands}
    if not names & (_NAMED | _PATHS):
        return
    try:
        known = naming.known_names()
    except StepReplayError:
        return
    if command.name in _PENDING:
        known = [each for each in known if any(path.name.endswith(".new") for path in each.files)]
    found: dict[str, str] = {}
    for each in known:
        found.setdefault(_typed(each), each.test)
    if word and not any(value.startswith(word) for value in found):
        # Ids take more reading, and are twice as many.
        found = {each.test: _typed(each) for each in known if each.test}
    yield from _that_begin(word, ((value, text) for value, text in found.items() if value not in before))


def _typed(named: Named) -> str:
    return Path(display(named.target)).as_posix()
