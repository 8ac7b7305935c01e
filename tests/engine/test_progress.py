"""Schedules on a real runner: what the model and its data preprocessor were told, and when."""

import math

import pytest
import torch
from mmengine.hooks import Hook


class Before(Hook):
    """Weights before each iteration."""

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self.weights: list[dict[str, torch.Tensor]] = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.weights.append(copy_of(runner.model))


class After(Before):
    """Weights after each iteration, and what stood in the model and the log in it."""

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        super().__init__()
        self.told: list[dict] = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        pass

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.weights.append(copy_of(runner.model))
        hub = runner.message_hub.log_scalars
        self.told.append(
            dict(
                iteration=runner.model.iteration,
                weights=dict(runner.model.weights),
                p=runner.model.data_preprocessor.cross_modal_ratio,
                visible=float(outputs['visible_dsm']),
                log={
                    key: hub[key].current()
                    for key in ('train/p_cross', 'train/momentum')
                    if key in hub
                },
            )
        )


def copy_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def trained(config, build_runner) -> tuple[Before, After]:
    config.default_hooks.checkpoint = None
    config.model.backbone.update(drop_rate=0.0, drop_path_rate=0.0)
    runner = build_runner(config)
    before, after = Before(), After()
    runner.register_hook(before)
    runner.register_hook(after)
    runner.train()
    return before, after


def students_of(weights: dict[str, torch.Tensor]) -> dict[str, str]:
    """The student's parameter of each of the teacher's."""
    return {name: name.removeprefix('teacher.') for name in weights if name.startswith('teacher.')}


def momentum(iteration: int, start: float, end: float, length: int) -> float:
    return end - (end - start) * (math.cos(math.pi * iteration / length) + 1) / 2


def test_the_optimizer_steps_and_then_the_teacher_follows(tiny_config, build_runner):
    before, after = trained(tiny_config, build_runner)
    assert len(before.weights) == len(after.weights) == 18
    for iteration, (old, new) in enumerate(zip(before.weights, after.weights, strict=True)):
        m = momentum(iteration, 0.9, 1.0, 18)
        assert after.told[iteration]['log']['train/momentum'] == pytest.approx(m)
        for name, student in students_of(old).items():
            # the student of after the step, not of before it
            expected = m * old[name] + (1 - m) * new[student]
            torch.testing.assert_close(new[name], expected, atol=1e-7, rtol=1e-5)
        moved = sum(
            (new[name] - old[name]).abs().sum().item() for name in set(students_of(old).values())
        )
        assert moved > 1


def test_the_teacher_waits_while_gradients_are_accumulated(tiny_config, build_runner):
    tiny_config.optim_wrapper.accumulative_counts = 3
    tiny_config.train_cfg.max_epochs = 1
    before, after = trained(tiny_config, build_runner)
    for iteration, (old, new) in enumerate(zip(before.weights, after.weights, strict=True)):
        steps = iteration in (2, 5)
        assert all(torch.equal(old[name], new[name]) for name in old) != steps
        if steps:
            m = momentum(iteration, 0.9, 1.0, 6)
            for name, student in students_of(old).items():
                expected = m * old[name] + (1 - m) * new[student]
                torch.testing.assert_close(new[name], expected, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize(
    ('settings', 'expected'),
    [
        (
            dict(start=0.1, increment=0.1, every=1, maximum=0.7, by_epoch=True),
            [0.1] * 6 + [0.2] * 6 + [0.3] * 6,
        ),
        (
            dict(start=0.2, increment=0.25, every=4, maximum=0.6),
            [0.2] * 4 + [0.45] * 4 + [0.6] * 10,
        ),
    ],
    ids=['epochs', 'iterations'],
)
def test_more_is_hidden_as_training_goes_on(tiny_config, build_runner, settings, expected):
    tiny_config.model.data_preprocessor.mask_ratio = 0.4  # 10 of 16 patches are visible
    tiny_config.model.losses = dict(cls=1.0)
    schedules = tiny_config.custom_hooks[1]
    schedules.masking.p = dict(type='Staircase', **settings)
    schedules.losses = dict(cls=(0.5, 1.0))  # shares of 18 iterations
    _, after = trained(tiny_config, build_runner)
    assert [told['p'] for told in after.told] == pytest.approx(expected)
    assert [told['log']['train/p_cross'] for told in after.told] == pytest.approx(expected)
    assert [told['visible'] for told in after.told] == [10 - round(10 * p) for p in expected]
    assert [told['iteration'] for told in after.told] == list(range(18))
    rise = [max(0, iteration - 9) / 9 for iteration in range(18)]
    assert [told['weights']['cls'] for told in after.told] == pytest.approx(rise)


def test_without_a_target_and_a_teacher_nothing_is_told(tiny_config, build_runner):
    tiny_config.model.data_preprocessor.cross_modal = None
    tiny_config.model.losses = dict(cls=1.0)
    tiny_config.train_cfg.max_epochs = 1
    _, after = trained(tiny_config, build_runner)
    for told in after.told:
        assert (told['p'], told['visible'], told['log']) == (0.0, 4.0, {})
