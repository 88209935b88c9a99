"""What the pytest runs inside of a test would each import anew.

Such a run forgets, when it ends, what it was the first to import. What is imported here stays, so that hundreds of runs
do not each load the plugin's rooms and the clients again. Who imports what, and when, is tested in processes of their own.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

import aiohttp  # noqa: F401
import deepdiff  # noqa: F401
import httpcore  # noqa: F401
import httpcore2  # noqa: F401
import httpx  # noqa: F401
import httpx2  # noqa: F401
import openai.resources.chat.completions  # noqa: F401
import requests  # noqa: F401
import rich.console
import rich.filesize
import rich.progress
import rich.table  # noqa: F401

import pytest_stepreplay

for _module in pkgutil.walk_packages(pytest_stepreplay.__path__, "pytest_stepreplay."):
    if not _module.name.endswith(".__main__"):
        import_module(_module.name)
