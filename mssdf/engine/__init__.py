"""Training loop, hooks, optimizer parts, resuming and supervision of the ranks."""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """Import the components when one of them is asked for.

    They load all of OpenMMLab's libraries, which takes seconds. A command line needs
    ``mssdf.engine.interruption`` at once, to take note of signals from its start.

    Raises:
        AttributeError: if no component has the name.
    """
    # 'from . import components' would look for the attribute first and so call this function again
    components = import_module('mssdf.engine.components')
    if name not in components.__all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(components, name)
