"""Cassettes on disk: where they lie, how their files read, and how they are written in one step.

Paths and `Cassette` values go in and come out; every file that cannot be used is a `CassetteError` that says
why. `bodies` turns what went over the wire into what is stored, and back.
"""

from .cassettes import ReadCassette, parse_cassette, read_cassette, render_cassette, write_cassette
from .files import check_writable, exists
from .paths import cassette_path, iter_cassettes, named_path

__all__ = [
    "ReadCassette",
    "cassette_path",
    "check_writable",
    "exists",
    "iter_cassettes",
    "named_path",
    "parse_cassette",
    "read_cassette",
    "render_cassette",
    "write_cassette",
]
