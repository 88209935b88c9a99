"""Text for people: two of them side by side, word by word, and what a model wrote made harmless to print."""

__all__ = ["alignment", "columns", "escaping", "fuzzy", "sentences", "spelling", "varying", "words"]
