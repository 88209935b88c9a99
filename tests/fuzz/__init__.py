"""Inputs that nobody would write by hand, and what must hold for each of them."""
