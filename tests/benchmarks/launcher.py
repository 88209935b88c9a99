"""Runs a command and writes what it cost: `python -I -S launcher.py RESULT COMMAND...`.

A process starts with the peak memory of the one that it was forked from, so this one is kept small.
"""

import json
import os
import sys
import time
from pathlib import Path

started = time.perf_counter()
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
cost = {
    "status": os.waitstatus_to_exitcode(status),
    "cpu": usage.ru_utime + usage.ru_stime,
    "wall": time.perf_counter() - started,
    # Bytes on macOS, kilobytes elsewhere.
    "peak": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
}
Path(sys.argv[1]).write_text(json.dumps(cost), encoding="utf-8")
