"""Errors that a command line shows as one line."""


class UsageError(Exception):
    """Something the user can put right."""
