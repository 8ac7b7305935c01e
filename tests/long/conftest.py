"""Where the long tests put their curves and tables."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def long_out(project_root: Path) -> Path:
    """The folder of the variable MSSDF_LONG_OUT or, without it, ``work_dirs/long``."""
    folder = Path(os.environ.get('MSSDF_LONG_OUT') or project_root / 'work_dirs/long')
    folder.mkdir(parents=True, exist_ok=True)
    return folder
