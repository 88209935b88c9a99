"""Two texts or two sequences side by side: what they share, and what differs, word by word."""
