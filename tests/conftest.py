"""Fixtures that all tests share."""

from pathlib import Path

import pytest
import torch


@pytest.fixture(scope='session')
def project_root() -> Path:
    """Top folder of the repository."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope='session')
def data_root() -> Path:
    """Folder of the small real rasters."""
    return Path(__file__).resolve().parent / 'data'


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    """Start every test from the same random state of torch."""
    torch.manual_seed(0)
