"""A cassette of ours -> the text of one of vcrpy's, written by its own serializer so that plain vcrpy replays it.

What vcrpy has no place for is left out: when an interaction was recorded, how long it took, the test's id.
"""

from __future__ import annotations

import warnings
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ..errors import StepReplayError
from ..wire.bodies import body_bytes

if TYPE_CHECKING:
    from ..models import Cassette, Request, Response


def render_vcr(cassette: Cassette) -> str:
    """Returns the text of a YAML cassette of vcrpy with the cassette's interactions.

    Raises:
        StepReplayError: vcrpy is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # importing vcrpy imports HTTP clients; their warnings are not ours
        try:
            from vcr import serialize  # noqa: PLC0415 - only converting to vcrpy's format needs it
            from vcr.serializers import yamlserializer  # noqa: PLC0415
        except ImportError:
            problem = "vcrpy writes its format itself, and is not installed; install it: pip install vcrpy"
            raise StepReplayError(problem) from None
    requests = [_request(each.request) for each in cassette.interactions]
    responses = [_response(each.response) for each in cassette.interactions]
    text: str = serialize.serialize({"requests": requests, "responses": responses}, yamlserializer)
    return text


def _request(request: Request) -> Any:
    from vcr.request import Request as VcrRequest  # noqa: PLC0415 - as above

    # vcrpy's matcher of bodies compares JSON as JSON where this header says that it is some.
    headers = {"content-type": "application/json"} if request.body_kind == "json" else {}
    # No body is empty here, as vcrpy records it of httpx; of requests, it records null.
    return VcrRequest(request.method, request.url, body_bytes(request), headers)


def _response(response: Response) -> dict[str, Any]:
    phrases = {each.value: each.phrase for each in HTTPStatus}
    return {
        "status": {"code": response.status, "message": phrases.get(response.status, "")},
        "headers": {name: [value] for name, value in response.headers.items()},
        "body": {"string": body_bytes(response)},
    }
