"""What may be said of one snapshot: its name, and what counts as a difference. Checked, with the valid ones named."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypedDict

from ..errors import SettingsError
from ..settings import policy as policies
from ..texts import spelling

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..settings.text_rules import TextRuleInput

OPTIONS: Final = ("fail_on", "ignore", "tolerances", "text", "contract", "volatile")
"""What may be said of one snapshot: `settings.policy.Policy`, in the words of its arguments."""

_LONGEST_NAME = 100


class Options(TypedDict, total=False):
    """The options of one snapshot."""

    fail_on: str
    ignore: Iterable[str]
    volatile: Iterable[str]
    tolerances: Mapping[str, float | str]
    text: Mapping[str, TextRuleInput]
    contract: str | type[Any] | None


def checked_name(name: object) -> str:
    """Returns the name of a snapshot, if it may be one."""
    __tracebackhide__ = True
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise SettingsError(
            f"chat_snapshot({name!r:.60}): a name is one line of at most {_LONGEST_NAME} characters, such as "
            '"plan"; the value to compare goes before or after =='
        )
    if name.isdigit():
        raise SettingsError(
            f"chat_snapshot({name!r:.60}): snapshots without a name are numbered, so a name cannot be a number"
        )
    return name


def check_options(options: Mapping[str, Any]) -> None:
    """Does nothing where the options are valid.

    Raises:
        SettingsError: one is not; the message lists the valid ones.
    """
    __tracebackhide__ = True
    if not options:
        return
    for name in options:
        if name not in OPTIONS:
            hint = spelling.did_you_mean(name, OPTIONS)
            raise SettingsError(
                f"chat_snapshot has no option {name!r:.60}{hint}. Valid ones: {', '.join(OPTIONS)}"
            )
    try:
        policies.Policy.from_mapping(options)
    except SettingsError as error:
        problem = f"chat_snapshot, {error}"
    else:
        return
    raise SettingsError(problem)


def with_options(policy: policies.Policy, options: Options) -> policies.Policy:
    """Returns the policy of the test with what is said of one snapshot added."""
    if not options:
        return policy
    given = policies.Policy.from_mapping(options)
    return replace(
        policy,
        fail_on=given.fail_on if "fail_on" in options else policy.fail_on,
        ignore=(*policy.ignore, *given.ignore),
        volatile=(*policy.volatile, *given.volatile),
        tolerances={**policy.tolerances, **given.tolerances},
        text={**policy.text, **given.text},
        contract=given.contract if "contract" in options else policy.contract,
    )
