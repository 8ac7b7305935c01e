"""Real processes, killed for real: what comes out is what an undisturbed run gives."""

import multiprocessing
import os
import runpy
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

TRAIN = Path(__file__).resolve().parents[2] / 'tools' / 'train.py'


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(moment: str, number: int) -> None:
    """Kill this process when it comes to a moment for the n-th time."""
    import mssdf.engine.loops as loops
    from mssdf.engine.hooks import atomic_checkpoint_hook, teacher_hook
    from mssdf.utils import atomic_file

    left = [number]

    def reached() -> bool:
        left[0] -= 1
        return left[0] == 0

    if moment == 'between step and teacher':
        hook = teacher_hook.TeacherHook
        original = hook.after_train_iter

        def after_train_iter(self, runner, *args, **kwargs):
            if reached():
                die()
            original(self, runner, *args, **kwargs)

        hook.after_train_iter = after_train_iter
    elif moment == 'waiting for data':
        original_next = loops.ResumableEpochTrainLoop._next

        def _next(self, batches):
            if reached():
                die()
            return original_next(self, batches)

        loops.ResumableEpochTrainLoop._next = _next
    elif moment == 'half of a checkpoint written':
        write = atomic_file.write_atomically

        def torn(path, content):
            if not str(path).endswith('.pth') or not reached():
                return write(path, content)
            replace = os.replace
            os.replace = lambda *_: die()
            try:
                write(path, content[: len(content) // 2])
            finally:
                os.replace = replace

        atomic_file.write_atomically = torn
    elif moment == 'checkpoint moved, not yet pointed to':
        write_pointer = atomic_checkpoint_hook.write_atomically

        def pointed(path, content):
            if reached():
                die()
            write_pointer(path, content)

        atomic_checkpoint_hook.write_atomically = pointed
    elif moment == 'old checkpoint not yet removed':
        hook = atomic_checkpoint_hook.AtomicCheckpointHook
        remove = hook._remove

        def _remove(self, steps):
            if list(steps) and reached():
                die()
            remove(self, steps)

        hook._remove = _remove
    else:
        raise ValueError(moment)


def child(arguments: list[str], kill: tuple[str, int] | None, log: str) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.argv = [str(TRAIN), *arguments]
    torch.set_num_threads(1)
    if kill:
        arm(*kill)
    runpy.run_path(str(TRAIN), run_name='__main__')


@pytest.fixture(scope='module')
def context() -> multiprocessing.context.ForkServerContext:
    """Processes that start with everything imported: each is new, none imports for seconds."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['mssdf.models', 'mssdf.engine.components', 'mssdf.datasets'])
    return context


class Runs:
    """Starts of one training."""

    def __init__(self, context, config: Path, work_dir: Path) -> None:
        self.context = context
        self.arguments = [str(config), '--work-dir', str(work_dir), '--resume']
        self.work_dir = work_dir
        self.log = work_dir.with_suffix('.log')

    def start(self, kill=None):
        process = self.context.Process(
            target=child, args=(self.arguments, kill, str(self.log)), daemon=False
        )
        process.start()
        return process

    def run(self, kill=None) -> int:
        process = self.start(kill)
        process.join(120)
        if process.exitcode is None:
            process.kill()
        return process.exitcode

    def output(self) -> str:
        return self.log.read_text()


def trained_state(work_dir: Path, name: str = 'iter_18.pth') -> dict:
    state = torch.load(work_dir / name, weights_only=False)
    return {key: state[key] for key in ('state_dict', 'optimizer', 'param_schedulers')}


def differences(first, second, where='') -> list[str]:
    """Names of everything that is not bit-identical."""
    if isinstance(first, torch.Tensor):
        same = torch.equal(first, second) and first.dtype == second.dtype
    elif isinstance(first, dict):
        if list(first) != list(second):
            return [f'{where}: other keys']
        return [d for k in first for d in differences(first[k], second[k], f'{where}.{k}')]
    elif isinstance(first, (list, tuple)):
        if len(first) != len(second):
            return [f'{where}: other length']
        return [
            d
            for i, pair in enumerate(zip(first, second, strict=True))
            for d in differences(*pair, f'{where}[{i}]')
        ]
    else:
        same = first == second
    return [] if same else [where]


def test_differences_are_found():
    one = {'a': [torch.ones(2), 3]}
    assert differences(one, {'a': [torch.ones(2), 3]}) == []
    assert differences(one, {'a': [torch.tensor([1, 1 + 1e-7]), 3]}) == ['.a[0]']


@pytest.fixture(scope='module')
def config_path(tmp_path_factory, data_root) -> Path:
    tiny_dict = runpy.run_path(str(Path(__file__).with_name('conftest.py')))['tiny_dict']
    path = tmp_path_factory.mktemp('config') / 'tiny.py'
    Config(tiny_dict(data_root)).dump(path)
    return path


@pytest.fixture(scope='module')
def reference(context, config_path, tmp_path_factory) -> dict:
    """End of a run that nothing disturbed."""
    runs = Runs(context, config_path, tmp_path_factory.mktemp('reference') / 'run')
    assert runs.run() == 0, runs.output()
    assert 'starting from the beginning' in runs.output()
    return trained_state(runs.work_dir)


def test_training_changes_everything_compared(context, config_path, reference, tmp_path):
    """Else the comparisons below would prove nothing: another seed gives another end."""
    runs = Runs(context, config_path, tmp_path / 'run')
    runs.arguments += ['--seed', '4']
    assert runs.run() == 0, runs.output()
    other = differences(reference['state_dict'], trained_state(runs.work_dir)['state_dict'])
    names = {name.split('.')[1] for name in other}
    assert {'backbone', 'embedding', 'fusion_decoder', 'modality_decoder', 'teacher'} <= names


def test_killed_again_and_again(context, config_path, reference, tmp_path):
    runs = Runs(context, config_path, tmp_path / 'run')
    for kill in (
        ('waiting for data', 1),  # before there is any checkpoint
        ('between step and teacher', 4),
        ('half of a checkpoint written', 2),
        ('checkpoint moved, not yet pointed to', 1),
        ('old checkpoint not yet removed', 2),
        ('between step and teacher', 2),
    ):
        assert runs.run(kill) == -signal.SIGKILL, f'{kill}: {runs.output()}'
        if kill[0].startswith('half'):
            assert len(list(runs.work_dir.glob('.*.mssdf-partial'))) == 1
    assert runs.run() == 0, runs.output()
    assert differences(reference, trained_state(runs.work_dir)) == []
    assert 'left half written by an earlier run' in runs.output()
    assert sorted(path.name for path in runs.work_dir.glob('*.pth')) == [
        'iter_14.pth',
        'iter_16.pth',
        'iter_18.pth',
    ]
    assert not list(runs.work_dir.glob('.*.mssdf-partial'))


def test_killed_from_outside_then_torn(context, config_path, reference, tmp_path):
    runs = Runs(context, config_path, tmp_path / 'run')
    process = runs.start()
    deadline = time.monotonic() + 60
    while not (runs.work_dir / 'iter_8.pth').exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL, runs.output()

    newest = max(runs.work_dir.glob('iter_*.pth'), key=lambda path: int(path.stem[5:]))
    with open(newest, 'r+b') as file:
        file.truncate(newest.stat().st_size * 2 // 3)
    (runs.work_dir / 'last_checkpoint').write_text(str(newest))
    assert runs.run() == 0, runs.output()
    assert f'{newest} (damaged)' in runs.output()
    assert runs.output().count('Warning: cannot resume from') == 1
    assert differences(reference, trained_state(runs.work_dir)) == []


def test_interrupted_by_epoch_and_with_workers(context, config_path, reference, tmp_path):
    """Ctrl-C keeps the completed iterations where checkpoints are otherwise made by epoch."""
    config = Config.fromfile(config_path)
    config.train_dataloader.update(num_workers=2, persistent_workers=True)
    config.default_hooks.checkpoint.update(by_epoch=True, interval=1)
    changed = tmp_path / 'workers.py'
    config.dump(changed)
    runs = Runs(context, changed, tmp_path / 'run')
    process = runs.start()
    deadline = time.monotonic() + 60
    while '[1][4/6]' not in (runs.output() if runs.log.exists() else ''):
        assert time.monotonic() < deadline, runs.output()
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 130, runs.output()
    assert 'To go on' in runs.output() and '--resume' in runs.output()
    saved = torch.load(runs.work_dir / 'interrupted.pth', weights_only=False)['meta']
    assert saved['iter'] >= 4
    assert runs.run() == 0, runs.output()
    assert not (runs.work_dir / 'interrupted.pth').exists()
    ended = trained_state(runs.work_dir, 'epoch_3.pth')
    del ended['param_schedulers']  # an epoch's end comes after its last iteration's
    assert differences({key: reference[key] for key in ended}, ended) == []
