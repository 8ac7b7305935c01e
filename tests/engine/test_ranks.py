"""One process, two and four with the same global batch: the same losses and weights."""

from pathlib import Path

import pytest
from mmengine.config import Config
from ranks import Ranks, loss_error, weight_error

STEPS = 12


def equal_config(data_root: Path) -> Config:
    """Without dropout, which differs from rank to rank; 2 epochs of 6 steps of 4 pairs."""
    from conftest import tiny_dict

    config = Config(tiny_dict(data_root))
    config.model.backbone.update(drop_rate=0.0, drop_path_rate=0.0)
    config.model.pairwise = dict(features='encoder', num_locations=24)
    config.model.teacher = dict(target_norm='batch', average_layers=2)
    config.model.data_preprocessor.cross_modal = dict(target='random')
    config.train_dataloader.dataset.windows.per_epoch = 24
    config.train_cfg.max_epochs = 2
    config.default_hooks.checkpoint.update(interval=4, max_keep_ckpts=-1)
    return config


@pytest.fixture(scope='module')
def config(data_root) -> Config:
    return equal_config(data_root)


@pytest.fixture(scope='module')
def ranks(tmp_path_factory) -> Ranks:
    return Ranks(tmp_path_factory.mktemp('ranks'))


@pytest.fixture(scope='module')
def one(ranks, config):
    return ranks.train('one', config)


def compare(name: str, first, second, steps: slice = slice(None)) -> None:
    """Hold a run against the one of one process; its figures are those of docs/scaling.md."""
    losses = loss_error(first.steps()[steps], second.steps())
    weights = weight_error(first.weights(), second.weights())
    print(f'\n| {name} | {len(second.steps())} | {losses:.1e} | {weights:.1e} |')
    assert losses < 2e-5
    assert weights < 2e-5


@pytest.mark.parametrize('world_size', [2, 4])
def test_losses_and_weights_are_those_of_one_process(ranks, config, one, world_size):
    many = ranks.train(f'ddp{world_size}', config, world_size)
    assert many.steps(0) == many.steps(world_size - 1)
    assert len(one.steps()) == STEPS
    compare(f'{world_size}, DDP', one, many)


def test_another_seed_is_another_run(ranks, config, one):
    """Else equal losses would prove nothing."""
    config = Config(config.to_dict())
    config.randomness.seed = 4
    other = ranks.train('seed', config)
    assert loss_error(one.steps()[:1], other.steps()[:1]) > 1e-2
    assert weight_error(one.weights(), other.weights()) > 1e-2


def test_resumed_in_mid_epoch_on_other_numbers_of_ranks(ranks, config, one):
    """From one rank to two, to four and back: after 4 and 8 steps, in epochs of 6."""
    two = ranks.train('one_to_two', config, 2, one.work_dir / 'iter_4.pth')
    compare('1 then 2, DDP', one, two, slice(4, None))
    four = ranks.train('two_to_four', config, 4, two.work_dir / 'iter_8.pth')
    compare('1, 2, then 4, DDP', one, four, slice(8, None))
    four = ranks.train('one_to_four', config, 4, one.work_dir / 'iter_4.pth')
    back = ranks.train('four_to_one', config, 1, four.work_dir / 'iter_8.pth')
    compare('1, 4, then 1, DDP', one, back, slice(8, None))
