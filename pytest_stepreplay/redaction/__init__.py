"""What is never stored, by two walls that share no rule.

`Redactor` replaces secrets on the way in, in requests before they are matched too. `scan` searches the exact bytes
that are about to be written, and returns a `Finding` for each secret that is there nevertheless. Names are imported
when they are first used, since a run that writes nothing has no use for the second wall.
"""

__all__ = ["redactor", "secret_rules", "shapes", "variables", "wall"]
