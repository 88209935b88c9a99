"""vcrpy's filters and hooks of a `vcr_config`, as functions on our `Request` and `Response`.

What a project set for vcrpy goes in, and vcrpy itself applies it, so that it means what it always meant. Headers
are not seen by them but for the content type, since none that a filter could hide is ever stored.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from ..errors import RequestStoppedError, SettingsError
from ..formats.vcrpy import import_vcr
from ..wire.bodies import body_bytes, request_from_wire, response_from_wire
from ..wire.headers import kept_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vcr.request import Request as VcrRequest

    from ..models import Request, Response

REQUEST_FILTERS: Final = (
    "filter_query_parameters",
    "filter_post_data_parameters",
    "filter_nested_post_data_parameters",
    "ignore_hosts",
    "ignore_localhost",
    "before_record_request",
    "before_record",
)
"""What vcrpy does to a request before it is matched or recorded, by the names of a `vcr_config`."""

RESPONSE_FILTERS: Final = ("before_record_response",)

_JSON: Final = "application/json"


def request_filter(config: Mapping[str, Any]) -> Callable[[Request], Request | None]:
    """Returns a function that gives a request as it is to be seen; None where it is to pass by.

    Args:
        config: a `vcr_config`; only `REQUEST_FILTERS` of it are used.
    """
    apply = _merged(config, REQUEST_FILTERS)["before_record_request"]

    def filtered(request: Request) -> Request | None:
        before = to_vcr_request(request)
        after = _called(apply, before, "before_record_request")
        if after is None:
            return None
        body = _called(lambda it: it.body, after, "before_record_request")
        if hasattr(body, "read"):
            body = body.read()
        body = body.encode() if isinstance(body, str) else bytes(body or b"")
        seen = request_from_wire(after.method, after.uri, body, after.headers.get("Content-Type"))
        return request if seen == request else seen

    return filtered


def response_filter(config: Mapping[str, Any]) -> Callable[[Response], Response | None]:
    """Returns a function that gives a response as it is to be recorded; None where it is not to be.

    Args:
        config: a `vcr_config`; only `RESPONSE_FILTERS` of it are used.
    """
    apply = _merged(config, RESPONSE_FILTERS)["before_record_response"]

    def filtered(response: Response) -> Response | None:
        before = to_vcr_response(response)
        after = _called(apply, to_vcr_response(response), "before_record_response")
        if after is None:
            return None
        return response if after == before else _called(_from_vcr_response, after, "before_record_response")

    return filtered


def to_vcr_request(request: Request) -> VcrRequest:
    """Returns the request as vcrpy's hooks know it."""
    vcr_request = import_vcr("vcr.request").Request
    kind = {"json": {"Content-Type": _JSON}}.get(request.body_kind or "", {})
    return vcr_request(request.method, request.url, body_bytes(request) or None, kind)


def to_vcr_response(response: Response) -> dict[str, Any]:
    """Returns the response as vcrpy's hooks know it."""
    return {
        "status": {"code": response.status, "message": ""},
        "headers": {name: [value] for name, value in response.headers.items()},
        "body": {"string": body_bytes(response)},
    }


def _from_vcr_response(tree: Mapping[str, Any]) -> Response:
    pairs = [
        (name, str(value))
        for name, values in tree["headers"].items()
        for value in (values if isinstance(values, list) else [values])
    ]
    body = tree["body"]["string"] or b""
    kept = kept_headers(pairs, [name for name, _ in pairs])
    return response_from_wire(tree["status"]["code"], kept, body.encode() if isinstance(body, str) else body)


def _merged(config: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    vcr = import_vcr("vcr.config").VCR()
    given = {name: config[name] for name in names if name in config}
    if unknown := given.keys() - vars(vcr) - {"before_record"}:  # it would be left out without a word
        raise SettingsError(
            f"vcr_config: vcrpy {version('vcrpy')} has no {', '.join(sorted(unknown))}; take it out, or install "
            "a newer one: pip install -U vcrpy"
        )
    merged: dict[str, Any] = vcr.get_merged_config(**given)
    return merged


def _called(hook: Callable[[Any], Any], value: Any, name: str) -> Any:
    try:
        return hook(value)
    except Exception as error:  # the project's own code, in the middle of a client's call
        raise RequestStoppedError(
            f"vcr_config, {name}: {type(error).__name__}: {error}\n"
            "It gets requests without headers, and responses with the few headers that are stored here. "
            "Take out what needs other headers, or guard it."
        ) from error
