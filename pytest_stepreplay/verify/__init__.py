"""Asks again: requests that are recorded are sent once more, and today's answers are judged by the stored ones.

A test asks its own in verify mode (`in_background`); all requests of a folder are asked without tests
(`whole_folder`), within a `budget`, and with a `journal` of what was sent. Frozen `Verdict`s come out, and what
drifted is left beside the cassettes. Names are imported when they are first used.
"""

__all__ = [
    "budget",
    "budget_stores",
    "chances",
    "drift_policy",
    "in_background",
    "journal",
    "judging",
    "left_pending",
    "pacing",
    "recorded_requests",
    "sampling",
    "shared_budget",
    "whole_folder",
]
