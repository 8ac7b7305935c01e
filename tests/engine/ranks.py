"""Training on several gloo processes of this machine, for tests."""

import contextlib
import io
import json
import multiprocessing
import os
import runpy
import socket
import traceback
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config

from mssdf.checkpoints.training_state import read_training_state

TRAIN = Path(__file__).resolve().parents[2] / 'tools' / 'train.py'
GLOBAL_BATCH = 4


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


def worker(rank: int, world_size: int, port: int, config: str, resume: str | None) -> None:
    """One rank: train what a config file describes, write what each step logged."""
    torch.set_num_threads(1)
    loaded = Config.fromfile(config)
    out = Path(loaded.work_dir)
    with open(out / f'rank{rank}.log', 'w') as log, contextlib.redirect_stdout(log):
        contextlib.redirect_stderr(log).__enter__()
        loaded.launcher = 'none'
        if world_size > 1:
            loaded.launcher = 'pytorch'
            os.environ.update(
                RANK=str(rank),
                LOCAL_RANK=str(rank),
                WORLD_SIZE=str(world_size),
                MASTER_ADDR='127.0.0.1',
                MASTER_PORT=str(port),
            )
        steps = []
        from mssdf.engine import ResumableEpochTrainLoop

        run_iter = ResumableEpochTrainLoop.run_iter

        def recorded(self, idx, data_batch):
            model = self.runner.model
            train_step = model.train_step

            def step(*args, **kwargs):
                values = train_step(*args, **kwargs)
                steps.append({name: float(value) for name, value in values.items()})
                return values

            model.train_step = step
            try:
                run_iter(self, idx, data_batch)
            finally:
                del model.train_step

        ResumableEpochTrainLoop.run_iter = recorded
        try:
            code = runpy.run_path(str(TRAIN))['run'](loaded, resume)
        except BaseException:
            traceback.print_exc(file=log)
            raise
        (out / f'steps{rank}.json').write_text(json.dumps(steps))
    raise SystemExit(code)


@dataclass
class Run:
    """What a training left."""

    work_dir: Path

    def steps(self, rank: int = 0) -> list[dict[str, float]]:
        """What each step logged."""
        return json.loads((self.work_dir / f'steps{rank}.json').read_text())

    def log(self, rank: int = 0) -> str:
        return (self.work_dir / f'rank{rank}.log').read_text()

    def checkpoint(self, name: str) -> dict:
        return read_training_state(self.work_dir / name)

    def weights(self, name: str = 'iter_12.pth') -> dict[str, torch.Tensor]:
        return self.checkpoint(name)['state_dict']


class Ranks:
    """Starts trainings; new processes need not import everything again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.context = multiprocessing.get_context('forkserver')
        self.context.set_forkserver_preload(
            ['mssdf.models', 'mssdf.engine.components', 'mssdf.datasets']
        )

    def train(
        self, name: str, config: Config, world_size: int = 1, resume: str | Path | None = None
    ) -> Run:
        """Train on so many ranks with one batch over all; fail with the logs if that fails."""
        work_dir = self.folder / name
        work_dir.mkdir()
        config = Config(config.to_dict())
        config.work_dir = str(work_dir)
        config.train_dataloader.batch_size = GLOBAL_BATCH // world_size
        path = self.folder / f'{name}.py'
        config.dump(path)
        port = free_port()
        processes = [
            self.context.Process(
                target=worker,
                args=(rank, world_size, port, str(path), resume and str(resume)),
                daemon=False,
            )
            for rank in range(world_size)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(90)
        codes = [process.exitcode for process in processes]
        for process in processes:
            if process.exitcode is None:
                process.kill()
        run = Run(work_dir)
        if codes != [0] * world_size:
            logs = io.StringIO()
            for rank in range(world_size):
                log = work_dir / f'rank{rank}.log'
                logs.write(f'--- {log}\n{log.read_text()[-3000:] if log.exists() else ""}\n')
            raise AssertionError(f'exit codes {codes}\n{logs.getvalue()}')
        return run


def equal_config(config: Config) -> Config:
    """Without dropout, which differs from rank to rank; 2 epochs of 6 steps of 4 pairs."""
    config = Config(config.to_dict())
    config.model.backbone.update(drop_rate=0.0, drop_path_rate=0.0)
    config.model.pairwise = dict(features='encoder', max_rows=24)
    config.model.teacher = dict(target_norm='batch', average_layers=2)
    config.model.data_preprocessor.cross_modal = dict(target='random')
    config.train_dataloader.dataset.windows.per_epoch = 24
    config.train_cfg.max_epochs = 2
    config.default_hooks.checkpoint.update(interval=4, max_keep_ckpts=-1)
    return config


def sharded(config: Config, checkpoints: str) -> Config:
    """The same training, sharded."""
    config = Config(config.to_dict())
    config.runner_type = 'FlexibleRunner'
    config.strategy = dict(type='mssdf.FSDPStrategy', checkpoints=checkpoints)
    return config


def loss_error(first: list[dict], second: list[dict]) -> float:
    """Largest difference of any logged number that is the same mean on any number of ranks."""
    assert len(first) == len(second)
    # what the monitor says is of a rank's own windows, and logged now and then
    monitored = ('std', 'rank', 'position', 'window')
    names = {name for step in first for name in step if name.split('_')[0] not in monitored}
    return max(abs(a[name] - b[name]) for a, b in zip(first, second, strict=True) for name in names)


def without_key_biases(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights without the biases of the attention's keys.

    A softmax does not change when a number is added to all its logits, so their gradient is
    zero but for rounding, and AdamW divides that by its own size: they wander at random, and
    nothing depends on them.
    """
    kept = {}
    for name, value in weights.items():
        if name.endswith('attn.qkv.bias'):
            query, _, value_bias = value.chunk(3)
            value = torch.cat([query, value_bias])
        kept[name] = value
    return kept


def weight_error(first: dict, second: dict) -> float:
    """Largest |difference| / |first| (2-norms) of any tensor."""
    assert first.keys() == second.keys()
    first, second = without_key_biases(first), without_key_biases(second)
    return max(
        float((first[name] - second[name]).double().norm() / first[name].double().norm())
        for name in first
        if first[name].is_floating_point() and first[name].any()
    )
