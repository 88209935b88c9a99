"""JSON over HTTP: what holds where nothing else is known of an API, and for an application's own values.

There every place is the application's own business, but a call and what answers it belong together.
"""

from __future__ import annotations

from typing import Final

from ..settings.levels import Level
from .chat_calls import ARGUMENTS, CALLS, IDS, PAIRED_CALLS
from .chat_reading import READING, tokens_in
from .chat_request import CONVERSATION, TELLING, name_of_tool
from .endpoint import BY_SHAPE, Endpoint

# What only the server can read in a message that stands alone, or in an application's own object, is new each time.
_SEALED: Final = (
    "**.reasoning_details[*].id",
    "**.reasoning_details[*].data",
    "**.reasoning_details[*].signature",
    "**.reasoning_signature",
    "**.encrypted_content",
    "**.content[*].signature",
    "**.thinking_blocks[*].signature",
    "**.thinking_blocks[*].data",
    "**.thought_signature",
    "**.thought_signatures",
)

GENERIC: Final = Endpoint(
    name="generic",
    optional={(): {"stream": (False,)}},
    null_is_absent=False,
    names_tell=True,
    levels={
        "$": BY_SHAPE,
        "**.tool_calls": Level.BEHAVIOR,
        "**.function_call": Level.BEHAVIOR,
        "**.tool_call_id": Level.BEHAVIOR,
    },
    fleeting=_SEALED,
    json_texts=ARGUMENTS,
    content=("$",),
    paired=PAIRED_CALLS,
    calls=CALLS,
    ids=IDS,
    telling=TELLING,
    conversation=CONVERSATION,
    tools={"tools": name_of_tool},
    reading=READING,
    tokens_in=tokens_in,
    measured=("usage",),
)
