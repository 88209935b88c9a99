"""Text for people and programs: drifts, misses, verified runs and totals.

Values go in, text comes out; nothing is printed here. `renderers` has the table of forms. What a model wrote is data:
whatever is returned for a terminal, a CI log or a page has been made harmless by `texts.escaping`. Names are imported
when they are first used.
"""

__all__ = [
    "causes",
    "conversations",
    "drift_history",
    "failing_tests",
    "grouping",
    "ledger",
    "marks",
    "merged_runs",
    "misses",
    "mutated_runs",
    "renderers",
    "review_page",
    "suite_runs",
    "token_costs",
    "totals",
    "verified_runs",
]
