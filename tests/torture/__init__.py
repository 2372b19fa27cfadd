"""Attacks on a run, and on the package, of minutes or hours: ``make torture``; `tests/test_torture.py` does some.

Each module has ``attack(seconds, seed)``, which attacks until the time is over and gives what it counted; a promise
that does not hold raises `Broken`, which says how to see it again.
"""


class Broken(AssertionError):  # noqa: N818 - it is what it says
    """A promise that did not hold."""
