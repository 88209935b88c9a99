"""Asks again: requests that are recorded are sent once more, and today's answers are judged by the stored ones.

A test asks its own in verify mode (`in_background`). Frozen `Verdict`s come out, and what drifted is left beside the
cassettes. Names are imported when they are first used.
"""

__all__ = ["drift_policy", "in_background", "judging", "left_pending"]
