"""`python -m pytest_stepreplay.cli`, for where the `stepreplay` script is not on the path."""

from __future__ import annotations

import sys

from . import main

sys.exit(main())
