"""Text for people: two of them side by side, word by word, and what a model wrote made harmless to print."""

__all__ = ["alignment", "columns", "escaping", "fuzzy", "plural", "sentences", "spelling", "varying", "words"]


def plural(number: int, noun: str) -> str:
    """Returns a number with its noun: ``1 message``, ``12,000 tokens``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
