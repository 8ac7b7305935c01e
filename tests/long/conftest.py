"""Where the long tests put their curves and tables."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def long_out(tmp_path: Path) -> Path:
    """The folder of the variable MSSDF_LONG_OUT or, without it, pytest's own."""
    folder = Path(os.environ.get('MSSDF_LONG_OUT') or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
