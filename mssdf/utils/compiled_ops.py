"""The compiled ops of mmcv, which detection needs and nothing else."""

from importlib.util import find_spec

INSTALL = (
    'pip uninstall onedl-mmcv && pip install --no-build-isolation --no-cache-dir onedl-mmcv '
    '(torch first; it compiles for about 20 minutes)'
)


class MissingOpsError(RuntimeError):
    """What detection needs is not installed."""


def require_compiled_ops() -> None:
    """Make sure that mmcv was installed with its compiled ops.

    Raises:
        MissingOpsError: if not; it gives the command that installs them.
    """
    if find_spec('mmcv._ext') is None:
        raise MissingOpsError(f'detection needs the compiled ops of mmcv, found none: {INSTALL}')
