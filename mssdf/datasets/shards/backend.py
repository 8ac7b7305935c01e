"""LitData, imported where it is needed and told not to ask the network about itself."""

import os
from types import ModuleType


def require_litdata() -> ModuleType:
    """Import LitData's package.

    Raises:
        ImportError: if it is not installed; the error has the command that installs it.
    """
    # Read when the package is imported: no look-up of newer versions at every start.
    os.environ.setdefault('LITDATA_DISABLE_VERSION_CHECK', '1')
    # Opening a shard must not fetch all of it from the disk, as windows are read here and there:
    # the reader asks for what it needs.
    os.environ.setdefault('LITDATA_POSIX_WILLNEED', '0')
    try:
        import litdata
    except ImportError as error:
        raise ImportError(
            'shards: expected the package litdata, found none: pip install '
            '"mssdf[preparation]" (or -r requirements/preparation.txt)'
        ) from error
    return litdata
