import signal

import pytest
import torch
from mmengine.hooks import Hook

from mssdf.engine import TrainingInterrupted
from mssdf.models.losses import NonFiniteLossError


class Record(Hook):
    """Where training was, and which windows it saw."""

    def __init__(self) -> None:
        self.steps, self.windows, self.epochs = [], [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.steps.append((runner.epoch, batch_idx, runner.iter))
        self.windows += [
            (runner.epoch, *sample.metainfo['window']) for sample in data_batch['data_samples']
        ]

    def after_train_epoch(self, runner):
        self.epochs.append(runner.epoch)


def train(runner) -> Record:
    record = Record()
    runner.register_hook(record)
    runner.train()
    return record


@pytest.fixture(scope='module')
def whole(make_config, build_runner, tmp_path_factory):
    """An undisturbed run that leaves every checkpoint in its ``folder``."""
    config = make_config(tmp_path_factory.mktemp('whole'))
    config.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=-1)
    record = train(build_runner(config))
    record.folder = config.work_dir
    return record


@pytest.mark.parametrize('iteration', [6, 8])
def test_goes_on_inside_an_epoch_without_reading_what_it_saw(
    tiny_config, build_runner, whole, iteration
):
    tiny_config.update(resume=True, load_from=f'{whole.folder}/iter_{iteration}.pth')
    runner = build_runner(tiny_config)
    dataset = runner.train_loop.dataloader.dataset
    read, read_sample = [], type(dataset).__getitem__

    class Counting(type(dataset)):
        def __getitem__(self, index):
            read.append(index)
            return read_sample(self, index)

    dataset.__class__ = Counting
    record = train(runner)
    assert record.steps == whole.steps[iteration:]
    assert record.windows == whole.windows[2 * iteration :]
    assert len(read) == 2 * (18 - iteration)
    # the checkpoint of the last iteration of epoch 0 comes before that epoch's end
    assert record.epochs == ([0, 1, 2] if iteration == 6 else [1, 2])


def test_epochs_of_another_length(tiny_config, build_runner, whole):
    """8 of 18 iterations of 2: 2 of 6 into epoch 1. With batches of 4 that is 1 of 3."""
    tiny_config.update(resume=True, load_from=f'{whole.folder}/iter_8.pth')
    tiny_config.train_dataloader.batch_size = 4
    record = train(build_runner(tiny_config))
    assert record.steps == [(1, 1, 4), (1, 2, 5), (2, 0, 6), (2, 1, 7), (2, 2, 8)]
    assert record.windows == whole.windows[16:]


class Poison(Hook):
    """Make the loss NaN at some iterations."""

    priority = 'VERY_LOW'

    def __init__(self, iterations) -> None:
        self.iterations = iterations
        self.after = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        parameter = runner.model.pixel_head.layers['rgb'].bias
        self.weights = {k: v.clone() for k, v in runner.model.state_dict().items()}
        if runner.iter in self.iterations:
            self.saved = parameter.data.clone()
            parameter.data.fill_(float('nan'))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter in self.iterations:
            assert outputs is None
            runner.model.pixel_head.layers['rgb'].bias.data.copy_(self.saved)
            self.after.append(
                all(
                    torch.equal(value, self.weights[key])
                    for key, value in runner.model.state_dict().items()
                    if not key.startswith('teacher')
                )
            )


def test_skips_as_many_steps_as_it_may(tiny_config, build_runner):
    tiny_config.train_cfg.update(max_epochs=1, max_skipped_steps=2)
    runner = build_runner(tiny_config)
    poison = Poison({1, 4})
    runner.register_hook(poison)
    record = train(runner)
    assert poison.after == [True, True]  # nothing was learned from it
    assert record.steps[-1] == (0, 5, 5)
    assert runner.message_hub.get_info('skipped_steps') == 2
    assert runner.optim_wrapper._inner_count == 6  # or accumulated steps would come late
    gradients = [p.grad for p in runner.model.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_gives_up_with_iteration_term_and_file(tiny_config, build_runner):
    tiny_config.train_cfg.update(max_epochs=1, max_skipped_steps=1)
    runner = build_runner(tiny_config)
    runner.register_hook(Poison({1, 4}))
    with pytest.raises(NonFiniteLossError, match=r'iteration 5: .*pix=nan.*autzen_dom\.tif'):
        runner.train()


class Signal(Hook):
    def __init__(self, iteration: int, signum: int) -> None:
        self.iteration, self.signum = iteration, signum

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            signal.raise_signal(self.signum)


@pytest.mark.parametrize('signum', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_iteration_and_saves(tiny_config, build_runner, tmp_path, signum):
    before = signal.getsignal(signum)
    runner = build_runner(tiny_config)
    runner.register_hook(Signal(4, signum))
    with pytest.raises(TrainingInterrupted) as stopped:
        runner.train()
    assert stopped.value.iteration == 5
    assert stopped.value.signum == signum
    saved = torch.load(stopped.value.checkpoint, weights_only=False)
    assert (saved['meta']['epoch'], saved['meta']['iter']) == (0, 5)
    pointer = tmp_path / 'run' / 'last_checkpoint'
    assert pointer.read_text() == stopped.value.checkpoint
    for key, value in runner.model.state_dict().items():
        assert torch.equal(value, saved['state_dict'][key]), key
    assert signal.getsignal(signum) is before


@pytest.fixture
def interruptible():
    """SIGINT as Python has it; a shell that puts the tests in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_second_signal_is_not_held_back(tiny_config, build_runner, interruptible):
    runner = build_runner(tiny_config)
    runner.register_hook(Signal(4, signal.SIGINT))
    runner.register_hook(Signal(4, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt) as stopped:
        runner.train()
    assert not isinstance(stopped.value, TrainingInterrupted)
    assert runner.iter == 4


def test_accumulated_gradients_are_not_cut(tiny_config, build_runner):
    tiny_config.optim_wrapper.accumulative_counts = 3
    with pytest.raises(ValueError, match='multiple of accumulative_counts=3.*found 2'):
        build_runner(tiny_config).train()
    tiny_config.default_hooks.checkpoint.interval = 3
    runner = build_runner(tiny_config)
    runner.register_hook(Signal(3, signal.SIGINT))
    with pytest.raises(TrainingInterrupted) as stopped:
        runner.train()
    assert stopped.value.iteration == 6


def test_negative_number_of_skips(tiny_config, build_runner):
    tiny_config.train_cfg.max_skipped_steps = -1
    with pytest.raises(ValueError, match='max_skipped_steps'):
        build_runner(tiny_config).train()
