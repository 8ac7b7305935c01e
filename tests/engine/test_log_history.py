"""What is kept of logged values is bounded, and what is logged of them stays the same."""

from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.logging import MessageHub
from mmengine.runner import LogProcessor

from mssdf.engine.log_processor import CompactLogProcessor


def follow(processor, values, name) -> tuple[list[float], int]:
    """Log every fifth iteration; returns the logged means and how many values are kept."""
    hub = MessageHub.get_instance(name)
    runner = SimpleNamespace(
        message_hub=hub,
        iter=0,
        epoch=0,
        max_iters=len(values),
        max_epochs=1,
        optim_wrapper=SimpleNamespace(get_lr=lambda: dict(lr=[0.1])),
        train_loop=SimpleNamespace(dataloader=values),
        train_dataloader=values,
        _train_loop=dict(),
    )
    logged = []
    for i, value in enumerate(values):
        runner.iter = i
        hub.update_scalar('train/loss', float(value))
        hub.update_scalar('train/lr', 0.1)
        if i % 5 == 4:
            logged.append(float(processor.get_log_after_iter(runner, i, 'train')[0]['loss']))
    return logged, len(hub.get_scalar('train/loss').data[0])


@pytest.mark.parametrize('window', [1, 7, 20])
def test_old_values_are_forgotten_and_logs_stay(window):
    values = np.random.default_rng(0).normal(size=200)
    expected, all_kept = follow(LogProcessor(window_size=window), values, f'all-{window}')
    found, kept = follow(
        CompactLogProcessor(window_size=window, history_size=20), values, f'some-{window}'
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert (kept, all_kept) == (20, 200)


def test_averages_over_all_keep_all():
    custom = [dict(data_src='loss', log_name='mean', method_name='mean', window_size='global')]
    processor = CompactLogProcessor(window_size=5, history_size=20, custom_cfg=custom)
    assert follow(processor, np.arange(100.0), 'global')[1] == 100
    wide = [dict(data_src='loss', log_name='mean', method_name='mean', window_size=50)]
    processor = CompactLogProcessor(window_size=5, history_size=20, custom_cfg=wide)
    assert follow(processor, np.arange(100.0), 'wide')[1] == 50


def test_fewer_than_a_line_averages_is_an_error():
    with pytest.raises(ValueError, match='history_size: expected at least window_size=30, found 9'):
        CompactLogProcessor(window_size=30, history_size=9)
