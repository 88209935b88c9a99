"""Decides which recorded interaction answers a request, and says what differs where none does.

`Matcher` turns a request into its key and `Index` finds the recorded requests with that key, at a cost that
does not grow with the cassette. `nearest` explains a miss, and is imported for one. What was played is the session's
business.
"""

__all__ = ["contrast", "keys", "nearness", "quoting"]
