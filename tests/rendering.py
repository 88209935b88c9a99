"""The text of a cassette's file, without a file."""

from __future__ import annotations

from pytest_stepreplay.models import Cassette
from pytest_stepreplay.store.schema import tree_of
from pytest_stepreplay.store.yaml_text import render_yaml


def render_cassette(cassette: Cassette) -> str:
    return render_yaml(tree_of(cassette))
