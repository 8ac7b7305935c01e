"""Stops that are asked for, in each of the loops that our configs use."""

import os
import signal
import subprocess
import threading
import time

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, MODELS
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader, Dataset

from mssdf.engine.interruption import (
    Abandoned,
    StopRequest,
    TrainingInterrupted,
    current_request,
    unless_stopped,
)
from mssdf.engine.worker_signals import shield_workers, signals_held_back

LENGTH = 12


@DATASETS.register_module()
class StopNumbers(Dataset):
    """Numbers; one of them is waited for in vain."""

    def __init__(self, stuck_at: int = -1) -> None:
        self.stuck_at = stuck_at

    def __len__(self) -> int:
        return LENGTH

    def __getitem__(self, index: int) -> dict:
        if index == self.stuck_at:
            time.sleep(600)
        return dict(inputs=torch.tensor([index / LENGTH]))


@MODELS.register_module()
class StopModel(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, inputs, mode='tensor'):
        output = self.layer(torch.stack(list(inputs)))
        return dict(loss=(output - 3).square().mean()) if mode == 'loss' else [output.sum()]


@METRICS.register_module()
class StopMetric(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.append(1)

    def compute_metrics(self, results):
        return dict(batches=len(results))


def loader(shuffle=True, **dataset) -> dict:
    return dict(
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=shuffle),
        dataset=dict(type='StopNumbers', **dataset),
    )


LOOPS = dict(
    epochs=dict(type='mssdf.ResumableEpochTrainLoop', max_epochs=3, val_interval=1),
    mmengines_epochs=dict(type='EpochBasedTrainLoop', max_epochs=3, val_interval=1),
    iterations=dict(type='IterBasedTrainLoop', max_iters=18, val_interval=6),
)


def build(folder, loop: str, resume=False, **dataset) -> Runner:
    by_epoch = loop != 'iterations'
    return Runner(
        model=dict(type='StopModel'),
        work_dir=str(folder),
        train_dataloader=loader(**dataset),
        val_dataloader=loader(shuffle=False),
        val_evaluator=dict(type='StopMetric'),
        train_cfg=dict(LOOPS[loop]),
        val_cfg=dict(),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.1)),
        default_hooks=dict(
            checkpoint=dict(type='mssdf.AtomicCheckpointHook', by_epoch=by_epoch, interval=100),
            interruption=dict(type='mssdf.InterruptionHook'),
        ),
        log_processor=dict(by_epoch=by_epoch),
        randomness=dict(seed=5),
        resume=resume,
        load_from=f'{folder}/interrupted.pth' if resume else None,
        experiment_name=f'stop-{time.monotonic_ns()}',
    )


def train(runner: Runner, *hooks: Hook) -> dict:
    for hook in hooks:
        runner.register_hook(hook)
    runner.train()
    return runner.model.state_dict()


class At(Hook):
    """Send a signal at a place, when it is come to for the n-th time."""

    def __init__(self, place: str, number: int, signum: int = signal.SIGUSR1) -> None:
        self.left, self.signum, self.validations = number, signum, 0
        setattr(self, place, self._reached)

    def _reached(self, runner, *args, **kwargs):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(self.signum)

    def after_val_epoch(self, runner, metrics=None):
        self.validations += 1


class StepCounter(Hook):
    def __init__(self) -> None:
        self.steps, self.validations = [], 0

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.steps.append(runner.iter)

    def after_val_epoch(self, runner, metrics=None):
        self.validations += 1
        assert metrics['batches'] == LENGTH // 2


@pytest.mark.parametrize('signum', [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize('loop', ['epochs', 'iterations'])
def test_goes_on_as_if_it_had_not_been_stopped(tmp_path, loop, signum):
    whole = train(build(tmp_path / 'whole', loop))
    with pytest.raises(TrainingInterrupted) as stopped:
        train(build(tmp_path / 'run', loop), At('before_train_iter', 8, signum))
    assert (stopped.value.iteration, stopped.value.exit_code) == (8, 75)
    counter = StepCounter()
    ended = train(build(tmp_path / 'run', loop, resume=True), counter)
    assert counter.steps == list(range(8, 18))
    assert all(torch.equal(whole[key], ended[key]) for key in whole)


def test_mmengines_epochs_are_stopped_too(tmp_path):
    with pytest.raises(TrainingInterrupted) as stopped:
        train(build(tmp_path, 'mmengines_epochs'), At('after_train_iter', 4))
    assert stopped.value.iteration == 4
    assert torch.load(stopped.value.checkpoint, weights_only=False)['meta']['iter'] == 4


@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize('loop', list(LOOPS))
def test_a_batch_is_not_waited_for(tmp_path, loop, workers):
    runner = build(tmp_path, loop, shuffle=False, stuck_at=5)
    runner._train_dataloader.update(num_workers=workers)
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM))

    class StartTimer(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.iter == 1:  # the next batch does not come
                timer.start()

    runner.register_hook(StartTimer())
    begun = time.monotonic()
    with pytest.raises(TrainingInterrupted) as stopped:
        runner.train()
    assert stopped.value.iteration == 2  # 0 to 3 are learned
    assert time.monotonic() - begun < 300  # of 600
    for process in torch.multiprocessing.active_children():
        process.terminate()  # it sleeps


@pytest.mark.parametrize('loop', list(LOOPS))
def test_a_validation_is_cut_short_and_made_up_for(tmp_path, loop):
    """That after the last step too, of which nothing else would be left."""
    sender = At('before_val_iter', 2)
    with pytest.raises(TrainingInterrupted) as stopped:
        train(build(tmp_path, loop), sender)
    assert stopped.value.iteration == 6 and sender.validations == 0
    counter = StepCounter()
    sender = At('before_val_iter', 14)  # of 6 + 6 + 6
    with pytest.raises(TrainingInterrupted) as stopped:
        train(build(tmp_path, loop, resume=True), counter, sender)
    assert stopped.value.iteration == 18 and counter.validations == 2
    counter = StepCounter()
    train(build(tmp_path, loop, resume=True), counter)
    assert (counter.steps, counter.validations) == ([], 1)


def test_a_scheduler_may_ask_again_and_again(tmp_path):
    class Often(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            for signum in (signal.SIGUSR1, signal.SIGTERM, signal.SIGTERM):
                signal.raise_signal(signum)

    with pytest.raises(TrainingInterrupted) as stopped:
        train(build(tmp_path, 'epochs'), Often())
    assert (stopped.value.iteration, stopped.value.signum) == (1, signal.SIGUSR1)


def test_a_signal_while_the_ranks_agree_counts_the_next_time(monkeypatch):
    asked = []

    def all_reduce(tensor, op, group):
        asked.append(tensor.item())
        signal.raise_signal(signal.SIGUSR1)

    monkeypatch.setattr('torch.distributed.is_initialized', lambda: True)
    monkeypatch.setattr('torch.distributed.get_rank', lambda: 0)
    monkeypatch.setattr('torch.distributed.get_world_size', lambda: 2)
    monkeypatch.setattr('torch.distributed.get_backend', lambda: 'gloo')
    monkeypatch.setattr('torch.distributed.all_reduce', all_reduce)
    with StopRequest() as stop:
        assert not stop.agreed()  # the other rank was not told
        assert stop.agreed()
    assert asked == [0, signal.SIGUSR1]


def test_before_training_a_signal_ends_at_once():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(TrainingInterrupted) as stopped, StopRequest(training=False):
            signal.raise_signal(signal.SIGUSR1)
        assert stopped.value.exit_code == 75 and not stopped.value.checkpoint
        with pytest.raises(KeyboardInterrupt) as pressed, StopRequest(training=False):
            signal.raise_signal(signal.SIGINT)
        assert not isinstance(pressed.value, TrainingInterrupted)
    finally:
        signal.signal(signal.SIGINT, before)
    assert current_request() is None
    assert TrainingInterrupted('a.pth', 1, signal.SIGINT).exit_code == 130


def test_what_is_not_worth_finishing_is_left():
    done = []

    def act(signum: int = 0) -> None:
        done.append('begun')
        if signum:
            signal.raise_signal(signum)
        done.append('ended')

    assert unless_stopped(act)
    with StopRequest() as stop:
        assert unless_stopped(act)
        assert not unless_stopped(lambda: act(signal.SIGTERM))
        assert not unless_stopped(act)
        signal.raise_signal(signal.SIGTERM)  # outside: nothing happens
        assert stop.signum == signal.SIGTERM
        with pytest.raises(Abandoned), stop.abandonable():
            done.append('never')
    assert done == ['begun', 'ended', 'begun', 'ended', 'begun']


class SlowDataset(Dataset):
    def __len__(self) -> int:
        return 1000

    def __getitem__(self, index: int) -> int:
        time.sleep(0.01)
        return index


@pytest.mark.parametrize('start', ['fork', 'spawn'])
def test_workers_end_for_their_process_alone(start):
    loader = DataLoader(SlowDataset(), num_workers=1, multiprocessing_context=start)
    shield_workers(loader)
    with signals_held_back():
        batches = iter(loader)
    (worker,) = batches._workers
    next(batches)
    for signum in ('TERM', 'USR1', 'INT'):  # from a process that is not its parent
        subprocess.run(['kill', f'-{signum}', str(worker.pid)], check=True)
    assert [int(next(batches)) for _ in range(200)] == list(range(1, 201))
    worker.terminate()
    worker.join(60)
    assert worker.exitcode == 0
