"""The `stepreplay` command: learn the product, and look at cassettes without pytest.

Exit status 0 means that all is well, 1 that something was found, 2 that the command could not do what it
was asked. A user's mistake is one message on stderr, never a traceback.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from ..errors import StepReplayError
from . import convert, demo, diff, lint, listing, pending, prune, relink, review, show

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# As a shell reports a command that SIGINT or SIGPIPE ended.
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141


class _Group(click.Group):
    """A group whose commands end quietly when nobody reads their output any more (``| head``)."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _ending_with_the_reader():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _ending_with_the_reader():
            status = super().invoke(ctx)
            sys.stdout.flush()
            return status


@contextmanager
def _ending_with_the_reader() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        # What Python still flushes at its exit must go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(PIPE_CLOSED) from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pytest-stepreplay", prog_name="stepreplay")
def stepreplay() -> None:
    """Record real chat completions once, replay them offline, and see what differs.

    Start with `stepreplay demo`: it needs no API key and no network.
    """


_COMMANDS: Final = (
    demo.demo,
    listing.list_,
    show.show,
    diff.diff,
    lint.lint,
    pending.pending,
    review.review,
    pending.accept,
    pending.reject,
    convert.convert,
    prune.prune,
    relink.relink,
)
for _command in _COMMANDS:
    stepreplay.add_command(_command)


def main(args: Sequence[str] | None = None) -> int:
    """Runs the `stepreplay` command and returns its exit status.

    Args:
        args: the arguments; by default those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what the terminal's encoding lacks is escaped, not an error
            stream.reconfigure(errors="backslashreplace")
    try:
        status = stepreplay.main(args, prog_name="stepreplay", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 2
    except click.Abort:
        return INTERRUPTED
    except (StepReplayError, OSError) as error:
        from .terminal import safe  # noqa: PLC0415 - only an error needs it

        click.echo(f"stepreplay: {safe(str(error))}", err=True)
        return 2
    return status if isinstance(status, int) else 0
