"""The families that tests/families/test_two_processes.py leaves out."""

import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from families.conftest import examples, pretrained, trial  # noqa: F401  fixtures
from families.test_two_processes import FAMILIES, check


@pytest.mark.parametrize('family', [name for name in FAMILIES if name != 'segmentation'])
def test_trains_and_validates(trial, family):  # noqa: F811
    assert math.isfinite(check(trial, family)[FAMILIES[family][3]])
