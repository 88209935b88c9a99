"""`stepreplay setup`: what `.gitattributes` and git's configuration need, so that git shows and merges cassettes."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..commands import stepreplay_command
from ..errors import StepReplayError, display_path
from ..store.files import read_bytes, write_bytes
from ..value_classes import dataclass
from .command import Command
from .deciding import CONSENT, check_consent, is_agreed
from .naming import adopted_folders
from .project import cassette_folder, project_root
from .terminal import echo, safe

if TYPE_CHECKING:
    from collections.abc import Iterator

DRIVER: Final = "stepreplay"
_ATTRIBUTES: Final = f"diff={DRIVER} merge={DRIVER} eol=lf"


@dataclass(frozen=True, slots=True)
class GitPlan:
    """What is to be written so that git knows cassettes.

    Attributes:
        attributes: the file that says which files are cassettes.
        old: what it says; None where it is not there.
        lines: what is added to it.
        config: keys of the repository's own configuration, with their new values.
        before: what they are now.
    """

    attributes: Path
    old: str | None
    lines: tuple[str, ...]
    config: dict[str, str]
    before: dict[str, str]

    @property
    def is_done(self) -> bool:
        """Whether all of it is there already."""
        return not self.lines and not self.config

    def write(self) -> None:
        """Writes it: first how git is to call us, then for which files.

        Raises:
            StepReplayError: it could not be written, or the file has changed meanwhile.
        """
        if _text_of(self.attributes) != self.old:
            raise StepReplayError(
                f"{display_path(self.attributes)} has changed meanwhile, and was not written; run this again"
            )
        for key, value in self.config.items():
            _git("config", "--local", key, value)
        if self.lines:
            old = self.old or ""
            end = "\r\n" if "\r\n" in old else "\n"
            start = old if not old or old.endswith("\n") else old + end
            write_bytes(self.attributes, (start + "".join(line + end for line in self.lines)).encode())

    def shown(self) -> Iterator[str]:
        """Yields what is to be written, for a person."""
        if self.lines:
            yield f"{display_path(self.attributes)}:"
            yield from (f"  {line}" for line in self.lines)
        if self.config:
            yield "git's configuration of this clone (.git/config), which is not committed:"
            for key, value in self.config.items():
                was = f"  # was: {self.before[key]}" if key in self.before else ""
                yield f"  {key} = {value}{was}"


def plan_git() -> GitPlan:
    """Returns what git has to be told about the project around the working directory.

    Raises:
        StepReplayError: it is in no repository, or git is not there.
    """
    _git("rev-parse", "--show-toplevel")
    root = project_root()
    attributes = root / ".gitattributes"
    old = _text_of(attributes)
    wanted = [f"{_pattern(folder, root)} {_ATTRIBUTES}" for folder in (cassette_folder(), *adopted_folders())]
    there = {" ".join(line.split()) for line in (old or "").splitlines()}
    config = {
        f"diff.{DRIVER}.textconv": _calling("git-textconv", '"$1"', otherwise='cat "$1"'),
        f"diff.{DRIVER}.cachetextconv": "true",
        f"merge.{DRIVER}.name": "cassettes, interaction by interaction",
        f"merge.{DRIVER}.driver": _calling(
            "git-merge", '"$1" "$2" "$3" "$4"', otherwise='git merge-file "$2" "$1" "$3"'
        )
        + " %O %A %B %P",
        # What git merges on the way, for a base of its own, nobody is asked about.
        f"merge.{DRIVER}.recursive": "binary",
    }
    before = {key: value for key in config if (value := _configured(key)) is not None}
    return GitPlan(
        attributes,
        old,
        tuple(line for line in dict.fromkeys(wanted) if line not in there),
        {key: value for key, value in config.items() if before.get(key) != value},
        before,
    )


def _run(dry_run: bool, yes: bool, as_json: bool) -> int:
    check_consent(dry_run=dry_run, yes=yes, as_json=as_json)
    plan = plan_git()
    if as_json:
        told = {"file": display_path(plan.attributes), "add": plan.lines, "config": plan.config}
        echo(json.dumps(told, indent=2))
    elif plan.is_done:
        echo("Git knows how to show and merge cassettes here already.")
    else:
        echo(safe("\n".join(plan.shown())))
    if plan.is_done:
        return 0
    if not is_agreed("Write this?", dry_run=dry_run, yes=yes, as_json=as_json):
        return 1
    plan.write()
    if not as_json:
        others = f"whoever else works here runs: {stepreplay_command(SETUP.name)}"
        echo(safe(f"Done. Commit {display_path(plan.attributes)}; {others}"))
    return 0


SETUP: Final = Command(
    name="setup",
    description="""
    Have git show cassettes as conversations, in `git diff` and `git log -p`, and merge them by their interactions.

    That takes a line in .gitattributes, which you commit, and some of git's configuration, which each clone has of
    its own. What is written is shown first, and nothing is written twice. Where stepreplay cannot be found later, git
    shows and merges the files as they are. To see a file as it is: git diff --no-textconv.
    """,
    examples=("stepreplay setup --dry-run", "stepreplay setup --yes"),
    options=CONSENT,
    run=_run,
)


def _pattern(folder: Path, root: Path) -> str:
    """Returns the pattern of the cassettes in a folder, as `.gitattributes` has it.

    Raises:
        StepReplayError: the folder lies outside of the project.
    """
    try:
        below = folder.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        raise StepReplayError(
            f"{display_path(folder)} lies outside of {display_path(root)}, where no .gitattributes reaches it"
        ) from None
    pattern = "".join(f"\\{each}" if each in "*?[\\" else each for each in below)
    pattern = f"{pattern}/**/*.yaml" if pattern != "." else "**/*.yaml"
    if pattern[0] in "!#" or any(each in ' \t"' for each in pattern):
        return json.dumps(pattern, ensure_ascii=False)
    return pattern


def _calling(verb: str, words: str, *, otherwise: str) -> str:
    """Returns a shell command that calls stepreplay, from the PATH or as it was here; else does something else."""
    here = shlex.quote(_own_path())
    return (
        f"f() {{ s=$(command -v stepreplay || echo {here}); "
        f'if [ -x "$s" ]; then "$s" {verb} {words}; else {otherwise}; fi; }}; f'
    )


def _own_path() -> str:
    """Returns the path of the script `stepreplay` of this environment."""
    beside = Path(sys.executable).with_name("stepreplay")
    return beside.as_posix() if beside.exists() else Path(sys.argv[0]).absolute().as_posix()


def _git(*words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - git, with words of our own
            ["git", *words],  # noqa: S607 - the git that the person uses
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise StepReplayError("git is not installed, or not on the PATH") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise StepReplayError(
            f"git {words[0]}: {said[-1] if said else f'exit status {done.returncode}'}\n"
            "Run this in the repository of your tests; to make one: git init"
        )
    return done.stdout.decode("utf-8", "surrogateescape")


def _configured(key: str) -> str | None:
    try:
        return _git("config", "--local", "--get", key).removesuffix("\n")
    except StepReplayError:
        return None


def _text_of(path: Path) -> str | None:
    return read_bytes(path).decode("utf-8", "surrogateescape") if path.exists() else None
