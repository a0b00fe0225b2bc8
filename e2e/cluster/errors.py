"""What can go wrong, by who must act."""

from __future__ import annotations


class Unusable(Exception):
    """This machine or call cannot do it; the message is one line with the way out. Exit code 2."""


class Failed(Exception):
    """A step failed; the message ends with what it printed. Exit code 1."""
