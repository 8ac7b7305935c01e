"""Compiled ops of mmcv, which only detection needs."""

from importlib.util import find_spec

INSTALL = (
    'pip uninstall onedl-mmcv && pip install --no-build-isolation --no-cache-dir onedl-mmcv '
    '(torch first; it compiles for about 20 minutes)'
)


class MissingOpsError(RuntimeError):
    """An error for detection without the packages that it needs."""


def require_compiled_ops() -> None:
    """Check that mmcv was installed with its compiled ops.

    Raises:
        MissingOpsError: if it was not; the error has the command that installs them.
    """
    if find_spec('mmcv._ext') is None:
        raise MissingOpsError(f'detection: expected compiled ops of mmcv, found none: {INSTALL}')
