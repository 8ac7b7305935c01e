"""Schedules against the formulas of method.md."""

import math

import pytest

from mssdf.contest.method_hooks import RunnerView
from mssdf.engine import ScheduleHook
from mssdf.engine.schedules import Constant, Cosine, Linear, Position, Staircase, build_schedule

P = dict(type='Staircase', start=0.1, increment=0.1, every=10, maximum=0.7, by_epoch=True)


def test_cross_modal_probability_follows_the_paper():
    paper = build_schedule(P, 'p')
    for epoch in range(0, 120):
        expected = min(0.1 + 0.1 * math.floor(epoch / 10), 0.7)
        assert paper.at(Position(7 * epoch, epoch), 0.0) == pytest.approx(expected)
    steps = Staircase(0.2, 0.25, 4, 0.6)
    assert [steps.at(Position(i), 0.0) for i in range(10)] == pytest.approx(
        [0.2] * 4 + [0.45] * 4 + [0.6] * 2
    )


def test_momentum_goes_from_start_to_end_along_half_a_cosine():
    def momentum(step: int, start: float = 0.996, end: float = 1.0) -> float:
        return Cosine(start, end).at(Position(step, 0, 100), 0.0)

    assert momentum(0) == pytest.approx(0.996)
    assert momentum(50) == pytest.approx(0.998)
    assert momentum(100) == pytest.approx(1.0)
    assert momentum(25, 0.9) == pytest.approx(1 - 0.1 * (1 + math.cos(math.pi / 4)) / 2)
    assert momentum(7, 0.99, 0.99) == 0.99
    values = [momentum(step, 0.9) for step in range(101)]
    assert values == sorted(values)
    assert Cosine(0.2).at(Position(100, 0, 100), 0.6) == pytest.approx(0.6)


def test_shares_of_training_mean_the_same_at_every_length():
    line = Linear(0.25, 0.75)
    for length in (40, 4000):
        weights = [
            line.at(Position(round(share * length), 0, length), 2.0)
            for share in (0, 0.25, 0.5, 0.75, 1)
        ]
        assert weights == pytest.approx([0.0, 0.0, 1.0, 2.0, 2.0])
    assert Linear(0, 1).at(Position(1), 2.0) == 2.0  # integers count iterations
    assert Linear(0.0, 1).at(Position(1, 0, 100), 2.0) == pytest.approx(0.02)
    assert Linear(5, 5).at(Position(4), 1.0) == 0.0
    assert Linear(5, 5).at(Position(5), 1.0) == 1.0
    with pytest.raises(ValueError, match='length of training'):
        line.at(Position(3), 1.0)


def test_a_line_between_given_values_and_by_epochs():
    falling = Linear(10, 30, start=0.8, end=0.2)
    for iteration, expected in ((0, 0.8), (10, 0.8), (15, 0.65), (30, 0.2), (99, 0.2)):
        assert falling.at(Position(iteration), 1.0) == pytest.approx(expected)
    by_epoch = Linear(1, 3, by_epoch=True)
    assert [by_epoch.at(Position(10 * e + 9, e), 4.0) for e in range(5)] == [0, 0, 2, 4, 4]


def test_short_forms_of_a_config():
    assert build_schedule(0.5, 'p') == Constant(0.5)
    assert build_schedule((0, 1000), 'w') == build_schedule([0, 1000], 'w') == Linear(0, 1000)
    assert build_schedule(dict(type='Cosine', start=0.9, end=1), 'm') == Cosine(0.9, 1)
    assert Constant(0.5).at(Position(3), 9.0) == 0.5


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (P | dict(start=0.8), 'a.b: expected start <= maximum .* found start=0.8, maximum=0.7'),
        (P | dict(every=0), 'every=0'),
        ((30, 10), 'a.b: expected 0 <= begin <= until, found 30 and 10'),
        ((0.5, 2000), 'a.b: expected begin and until in iterations'),
        (dict(type='Cosine', begin=0.9), r'a.b: expected arguments of Cosine \(start, end\)'),
        (dict(type='Cosine'), 'a.b: expected the argument start of Cosine, found none'),
        (dict(type='Cosine', start='x'), "a.b.start: expected a finite number, found 'x'"),
        (dict(type='Poly'), 'a.b: expected a number, a pair .* one of Constant, Linear'),
        ('half', "a.b: expected a number, a pair .* found 'half'"),
        ((1, 2, 3), 'a.b: expected a number, a pair'),
        (float('nan'), 'a.b: expected a number, a pair'),
    ],
)
def test_impossible_schedules_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        build_schedule(settings, 'a.b')


class Model:
    """A model with a value to move."""

    def scheduled(self):
        from mssdf.models.selfsup.scheduled import Scheduled

        return {
            'teacher.momentum': Scheduled(lambda value: setattr(self, 'm', value), 0.99),
            'masking.p': Scheduled(lambda value: setattr(self, 'p', value), 0.0, used=False),
        }


def test_a_wrong_target_names_those_there_are():
    runner = RunnerView(Model(), 1)
    for targets, message in (
        (dict(teacher=dict(speed=1.0)), 'schedules.teacher.speed: expected one of teacher.mome'),
        (dict(momentum=1.0), 'schedules.momentum: expected one of teacher.momentum, masking.p for'),
        (
            dict(teacher=dict(momentum=dict(type='Cosine', start=0.9, end=1.1))),
            'schedules.teacher.momentum.end: expected a number within 0...1, found 1.1',
        ),
        (dict(masking=dict(p=-1)), 'schedules.masking.p.value: expected a number within 0...1'),
    ):
        with pytest.raises(ValueError, match=message):
            ScheduleHook(**targets).before_run(runner)
    with pytest.raises(ValueError, match='expected one of none for'):
        ScheduleHook(p=1.0).before_run(RunnerView(object(), 1))


def test_what_is_not_used_rests_and_none_removes_a_schedule():
    model = Model()
    hook = ScheduleHook(masking=dict(p=0.3), **{'teacher.momentum': 0.5}, losses=dict(rec=None))
    hook.before_train_iter(RunnerView(model, 1, iter=7), 0)
    assert (model.m, model.iteration, hasattr(model, 'p')) == (0.5, 7, False)


@pytest.mark.parametrize('name', ['ProgressHook', 'CrossModalMaskingHook', 'TeacherMomentumHook'])
def test_a_hook_of_earlier_versions_names_its_successor(name):
    from mssdf.registry import HOOKS

    with pytest.raises(
        ValueError, match=f'{name}: expected .*mssdf.ScheduleHook.*, found a hook of'
    ):
        HOOKS.build(dict(type=name, start=0.1))
