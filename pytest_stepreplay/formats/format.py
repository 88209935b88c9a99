"""`Format`: one kind of cassette of another tool: how to recognize it, read it and write it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from ..models import Cassette
    from .foreign import Foreign, Hints


class Format(ABC):
    """A kind of cassette that can be read.

    Attributes:
        name: what users call it.
    """

    name: ClassVar[str]

    def parse(self, text: str) -> Any:
        """Return the tree of a text that is neither YAML nor JSON; None for a text of another format.

        Raises:
            MisfitError: it is of this format, and broken.
        """
        return None

    @abstractmethod
    def is_mine(self, tree: Any) -> bool:
        """Tell whether a file's tree is, by its keys, of this format."""

    @abstractmethod
    def read(self, tree: Any, hints: Hints) -> Foreign:
        """Return what a tree holds of which `is_mine` is true.

        Raises:
            MisfitError: nothing in it can be read.
        """


class WritableFormat(Format):
    """A kind of cassette that can be written, too.

    Attributes:
        suffix: how the names of such files end.
    """

    suffix: ClassVar[str]

    @abstractmethod
    def render(self, cassette: Cassette) -> str:
        """Return the text of a file of this format with the cassette's interactions.

        Raises:
            StepReplayError: a tool that is needed for it is not installed.
        """
