"""Schedules against the formulas of method.md."""

import math

import pytest

from mssdf.engine import CrossModalMaskingHook, TeacherMomentumHook
from mssdf.engine.schedules import cosine, staircase


def test_cross_modal_probability_follows_the_paper():
    for epoch in range(0, 120):
        expected = min(0.1 + 0.1 * math.floor(epoch / 10), 0.7)
        assert staircase(epoch, 0.1, 0.1, 10, 0.7) == pytest.approx(expected)


def test_momentum_goes_from_start_to_end_along_half_a_cosine():
    assert cosine(0, 100, 0.996, 1.0) == pytest.approx(0.996)
    assert cosine(50, 100, 0.996, 1.0) == pytest.approx(0.998)
    assert cosine(100, 100, 0.996, 1.0) == pytest.approx(1.0)
    assert cosine(25, 100, 0.9, 1.0) == pytest.approx(1 - 0.1 * (1 + math.cos(math.pi / 4)) / 2)
    assert cosine(7, 100, 0.99, 0.99) == 0.99
    values = [cosine(step, 100, 0.9, 1.0) for step in range(101)]
    assert values == sorted(values)


def test_impossible_schedules_are_refused():
    with pytest.raises(ValueError, match='found start=0.8, maximum=0.7'):
        CrossModalMaskingHook(start=0.8)
    with pytest.raises(ValueError, match='found 0.9 and 1.1'):
        TeacherMomentumHook(0.9, 1.1)
