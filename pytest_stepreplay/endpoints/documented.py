"""What the pydantic models of all documented objects have in common."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError

from ..wire.json_values import name_type
from ..wire.vectors import Vector


class Documented(BaseModel):
    """Part of a documented object: types are held strictly, fields nobody documented are kept."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, protected_namespaces=())


NoneForEmpty: Final = BeforeValidator(lambda value: None if value == "" else value)
"""Takes an empty text for null."""


def _check_vector(value: Any) -> Any:
    vector = Vector.read(value)
    if vector and vector.odd:
        odd = vector.values[vector.odd[0]]
        got = "NaN" if math.isnan(odd) else "infinity"
    elif vector or isinstance(value, str) or value == []:
        return value
    else:
        items = value if isinstance(value, list) else [value]
        got = next((name_type(it) for it in items if Vector.read([it]) is None), "nothing")
    expected = "finite numbers, or their base64"
    raise PydanticCustomError("vector", "{expected}", {"expected": expected, "got": got})


Numbers = Annotated[Any, BeforeValidator(_check_vector)]
"""A vector: an array of finite numbers, or the base64 of 32-bit floats. However many are wrong, it is one error."""
