"""Recorded answers, changed: into others that a model could have given, and into failures that it could have had.

Interactions go in, and responses come out that a server could have sent, told in the words that a person reads. What
the JSON of an API is made of is asked of its `Endpoint`. Pure: no pytest, no files, nothing is sent.
"""

__all__ = ["faulty_answers", "mutants", "operator_table", "survivors", "taped_answers"]
