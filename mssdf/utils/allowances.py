"""Rules on files that other files lead to, lifted by ``MSSDF_ALLOW``; see docs/guide/trust.md."""

import os
from pathlib import PurePath

ALLOW = 'MSSDF_ALLOW'
OPTIONS = ('vrt', 'network', 'outside')


def allowed(option: str) -> bool:
    """Tell whether ``MSSDF_ALLOW`` names an option.

    Raises:
        ValueError: if the variable has words other than :data:`OPTIONS`, separated by commas.
    """
    given = {word.strip() for word in os.environ.get(ALLOW, '').split(',')} - {''}
    unknown = sorted(given - set(OPTIONS))
    if unknown:
        raise ValueError(f'{ALLOW}: expected some of {", ".join(OPTIONS)}, found {unknown}')
    return option in given


def lies_below(path: str, folder: str) -> bool:
    """Tell whether a path is below a folder; links inside the folder count as inside."""
    root = os.path.abspath(folder)
    inside = os.path.abspath(path).startswith(root.rstrip(os.sep) + os.sep)
    if inside and os.pardir in PurePath(path).parts:  # after a link, '..' may lead elsewhere
        return os.path.realpath(path).startswith(os.path.realpath(folder).rstrip(os.sep) + os.sep)
    return inside
