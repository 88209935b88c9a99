"""Fuzzes one target by hand: ``python -m tests.fuzz TARGET SECONDS FOLDER``; needs ``pip install atheris``.

Inputs that reach new code are left in the folder; what breaks a promise is left as ``crash-...`` in the working
directory. Put what is worth keeping into ``corpus/TARGET/``.
"""

from __future__ import annotations

import sys

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]  # it installs on few systems

with atheris.instrument_imports(include=["pytest_stepreplay"]):
    from tests.fuzz.targets import CORPUS, TARGETS


def main() -> None:
    name, seconds, found = sys.argv[1:]
    options = [f"-max_total_time={seconds}", "-max_len=4096", "-rss_limit_mb=4096", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, found, str(CORPUS / name)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
