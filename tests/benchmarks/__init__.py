"""Benchmarks of this plugin beside its peers: `python -m tests.benchmarks` prints a table, nothing is asserted.

Every number is measured in a process of its own, in an environment that holds one tool and the same HTTP clients.
"""
