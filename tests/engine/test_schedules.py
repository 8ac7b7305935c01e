"""Schedules against the formulas of method.md."""

import math
from types import SimpleNamespace
from unittest.mock import MagicMock

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


def runner(iteration: int, epoch: int, steps: bool = True) -> MagicMock:
    fake = MagicMock(iter=iteration, epoch=epoch, max_iters=100)
    fake.model = SimpleNamespace(
        data_preprocessor=SimpleNamespace(cross_modal_ratio=None, target='dsm'),
        update_teacher=MagicMock(),
        teacher=MagicMock(),
    )
    fake.optim_wrapper.should_update.return_value = steps
    return fake


@pytest.mark.parametrize(('by_epoch', 'expected'), [(True, 0.3), (False, 0.5)])
def test_hook_counts_epochs_or_iterations(by_epoch, expected):
    fake = runner(iteration=45, epoch=21)
    CrossModalMaskingHook(by_epoch=by_epoch).before_train_iter(fake, 0)
    assert fake.model.data_preprocessor.cross_modal_ratio == pytest.approx(expected)


def test_p_stays_zero_without_a_target():
    fake = runner(iteration=45, epoch=21)
    fake.model.data_preprocessor.target = None
    fake.model.data_preprocessor.cross_modal_ratio = 0.0
    CrossModalMaskingHook().before_train_iter(fake, 0)
    assert fake.model.data_preprocessor.cross_modal_ratio == 0
    fake.message_hub.update_scalar.assert_not_called()


def test_teacher_moves_only_after_a_step_of_the_optimiser():
    hook = TeacherMomentumHook(0.9, 1.0)
    waiting, stepped = runner(50, 0, steps=False), runner(50, 0)
    hook.after_train_iter(waiting, 0)
    hook.after_train_iter(stepped, 0)
    waiting.model.update_teacher.assert_not_called()
    stepped.model.update_teacher.assert_called_once_with(pytest.approx(0.95))


def test_impossible_schedules_are_refused():
    with pytest.raises(ValueError, match='found start=0.8, maximum=0.7'):
        CrossModalMaskingHook(start=0.8)
    with pytest.raises(ValueError, match='found 0.9 and 1.1'):
        TeacherMomentumHook(0.9, 1.1)
