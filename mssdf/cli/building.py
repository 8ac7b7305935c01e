"""Errors of a config before the first iteration, shown as one line."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mssdf.errors import ConfigError, UsageError

from .config_check import explain

DEBUG_VARIABLE = 'MSSDF_DEBUG'
# Errors that constructors, registries and checks of the data raise for a wrong config.
WRONG_INPUT = (
    AssertionError,
    AttributeError,
    ImportError,
    IndexError,
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


class FirstIteration:
    """The first iteration of a run, and whether it has begun."""

    begun = False


def debugging() -> bool:
    """Tell whether the user asks for tracebacks."""
    return bool(os.environ.get(DEBUG_VARIABLE))


@contextmanager
def one_line_before(first_iteration: FirstIteration, config: Mapping[str, Any]) -> Iterator[None]:
    """Turn an error into one line that names the key, until training has begun.

    With the variable ``MSSDF_DEBUG``, the error keeps its traceback.

    Args:
        first_iteration: first iteration of the run.
        config: config that is built.

    Raises:
        UsageError: in place of the error.
    """
    try:
        yield
    except WRONG_INPUT as error:
        told = isinstance(error, UsageError) and not isinstance(error, ConfigError)
        if told or first_iteration.begun or debugging():
            raise
        raise UsageError(f'{explain(error, config)} ({DEBUG_VARIABLE}=1 shows where)') from error
