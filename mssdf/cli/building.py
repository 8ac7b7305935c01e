"""Errors before the first iteration: one line for what a config got wrong."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mssdf.errors import UsageError

from .config_check import explain

DEBUG_VARIABLE = 'MSSDF_DEBUG'
# What a constructor, a registry or a look into the data raises at a wrong config.
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


@contextmanager
def one_line_before(first_iteration: FirstIteration, config: Mapping[str, Any]) -> Iterator[None]:
    """Turn an error into one line that names the key, as long as nothing has begun.

    The variable ``MSSDF_DEBUG`` lets it through with its traceback.

    Raises:
        UsageError: instead of the error.
    """
    from mssdf.checkpoints.safe_load import CheckpointError
    from mssdf.engine.hooks.atomic_checkpoint_hook import CheckpointNotWrittenError
    from mssdf.rasters.failures import UnreadableDataError

    try:
        yield
    except (CheckpointError, CheckpointNotWrittenError, UnreadableDataError):
        raise  # they say all there is to say
    except WRONG_INPUT as error:
        if first_iteration.begun or os.environ.get(DEBUG_VARIABLE):
            raise
        raise UsageError(f'{explain(error, config)} ({DEBUG_VARIABLE}=1 shows where)') from error
