"""The documented objects of models, as frozen pydantic models.

Source: OpenAI's API reference, "The model object" and "List models".
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, RootModel, Tag

from .documented import Documented


class Model(Documented):
    """One model."""

    id: str
    object: Literal["model"]
    created: int | None = None
    owned_by: str | None = None


class ModelList(Documented):
    """All of them."""

    object: Literal["list"]
    data: list[Model]


def _sort_of(value: Any) -> str:
    return "all" if isinstance(value, dict) and value.get("object") == "list" else "one"


class ModelAnswer(
    RootModel[
        Annotated[Annotated[Model, Tag("one")] | Annotated[ModelList, Tag("all")], Discriminator(_sort_of)]
    ]
):
    """Whatever is answered about models."""
