"""The rank for which the others wait is in the log."""

import re
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from mssdf.engine import StragglerHook
from mssdf.engine.hooks.straggler_hook import EncoderClock, summarize

sys.path.insert(0, str(Path(__file__).parent))
from hurt_ranks import Ranks  # noqa: E402

DELAYS = """
import os, time
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, TRANSFORMS
from mmengine.model import is_model_wrapper

RANK = int(os.environ['RANK'])

@TRANSFORMS.register_module()
class SlowReading:
    def __call__(self, results):
        if RANK == 1 and EPOCH[0] == 0:
            time.sleep(0.3)
        return results

EPOCH = [0]

@HOOKS.register_module()
class SlowEncoder(Hook):
    priority = 'VERY_HIGH'

    def before_train_epoch(self, runner):
        EPOCH[0] = runner.epoch
        if runner.epoch == 1 and RANK == 0:
            model = runner.model.module if is_model_wrapper(runner.model) else runner.model
            # once for each modality
            model.backbone.layers[0].register_forward_pre_hook(lambda *_: time.sleep(0.15))
"""
LINE = re.compile(
    r'slowest: rank (\d) data ([\d.]+) s, encoder ([\d.]+) s, step ([\d.]+) s '
    r'\(medians ([\d.]+) / ([\d.]+) / ([\d.]+)\)'
)


def test_names_the_largest_sum_of_what_a_rank_does_alone():
    times = np.array([[0.01, 0.2, 0.9], [0.02, 0.2, 0.9], [0.5, 0.1, 0.9], [0.03, 0.4, 0.9]])
    assert summarize(times) == (
        'slowest: rank 2 data 0.5 s, encoder 0.1 s, step 0.9 s (medians 0.025 / 0.2 / 0.9)'
    )


def test_the_clock_measures_training_alone_and_is_copied_with_the_encoder(monkeypatch):
    now = [0.0]
    monkeypatch.setattr('mssdf.engine.hooks.straggler_hook.time.perf_counter', lambda: now[0])

    class Encoder(torch.nn.Module):
        calls = ()

        def encode(self, seconds):
            self.calls += (seconds,)
            now[0] += seconds

        def forward(self, seconds):
            self.encode(seconds)

    encoder = Encoder()
    clock = EncoderClock(encoder)
    encoder(1.0)  # through encode, and counted once
    encoder.encode(1.0)
    assert clock.read() == 2
    assert clock.read() == 0
    encoder.eval()
    encoder(1.0)
    assert clock.read() == 0
    other = deepcopy(encoder).train()
    other.encode(1.0)
    assert len(encoder.calls) == 3 and len(other.calls) == 4


def test_wrong_interval():
    with pytest.raises(ValueError, match='interval: expected at least 1, found 0'):
        StragglerHook(interval=0)


@pytest.mark.slow
def test_delays_of_one_rank_are_found(tiny_config, tmp_path, monkeypatch):
    """Rank 1 reads slowly in the first epoch, rank 0 encodes slowly in the second one."""
    (tmp_path / 'slow_ranks.py').write_text(DELAYS)
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    tiny_config.custom_imports = dict(imports=['mssdf', 'slow_ranks'])
    tiny_config.train_dataloader.batch_size = 1
    tiny_config.train_cfg.max_epochs = 2
    tiny_config.train_dataloader.dataset.pipeline.insert(0, dict(type='SlowReading'))
    tiny_config.custom_hooks += [
        dict(type='SlowEncoder'),
        dict(type='mssdf.StragglerHook', interval=3),
    ]
    config = tmp_path / 'slow.py'
    tiny_config.dump(config)
    with Ranks(config, tmp_path / 'run', 2) as ranks:
        assert ranks.wait() == [0, 0], ranks.said(0) + ranks.said(1)
        lines = [tuple(map(float, match.groups())) for match in LINE.finditer(ranks.said(0))]
    assert len(lines) == 4
    for rank, data, *_ in lines[:2]:
        assert rank == 1 and data >= 0.3
    for rank, _, encoder, step, *_ in lines[2:]:
        assert rank == 0 and 0.3 <= encoder <= step
