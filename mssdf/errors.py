"""Errors that a command line shows as one line."""


class UsageError(Exception):
    """An error that the user can correct."""
