"""Checks of cassettes that stand on disk, ours and those of other tools: secrets, and what makes a test less useful.

A cassette goes in, with what the project has set; problems come out, each with its place and what to do about it.
"""

from .checks import CHECKS, Expected, check_cassette
from .problems import Problem
from .secret_checks import NOT_FIXED, check_secrets, replaced_in_text, replaced_in_tree

__all__ = [
    "CHECKS",
    "NOT_FIXED",
    "Expected",
    "Problem",
    "check_cassette",
    "check_secrets",
    "checks",
    "problems",
    "replaced_in_text",
    "replaced_in_tree",
    "secret_checks",
]
