"""One process, two and four with the same global batch: the same losses and weights."""

import runpy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from ranks import Ranks, equal_config, loss_error, sharded, weight_error

from mssdf.checkpoints import load_pretrained, read_checkpoint

STEPS = 12


@pytest.fixture(scope='module')
def config(make_config, tmp_path_factory) -> Config:
    return equal_config(make_config(tmp_path_factory.mktemp('config')))


@pytest.fixture(scope='module')
def ranks(tmp_path_factory) -> Ranks:
    return Ranks(tmp_path_factory.mktemp('ranks'))


@pytest.fixture(scope='module')
def one(ranks, config):
    return ranks.train('one', config)


def compare(name: str, first, second, steps: slice = slice(None), weight: float = 2e-5) -> None:
    """Compare a run with that of one process; the figures are those of docs/results/scaling.md."""
    losses = loss_error(first.steps()[steps], second.steps())
    weights = weight_error(first.weights(), second.weights())
    print(f'\n| {name} | {len(second.steps())} | {losses:.1e} | {weights:.1e} |')
    assert losses < 2e-5
    assert weights < weight


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
    assert len(two.steps()) == STEPS - 4
    assert f'Resuming from {one.work_dir / "iter_4.pth"}' in two.log()
    four = ranks.train('two_to_four', config, 4, two.work_dir / 'iter_8.pth')
    compare('1, 2, then 4, DDP', one, four, slice(8, None))
    assert len(four.steps()) == STEPS - 8
    assert f'Resuming from {two.work_dir / "iter_8.pth"}' in four.log()
    four = ranks.train('one_to_four', config, 4, one.work_dir / 'iter_4.pth')
    back = ranks.train('four_to_one', config, 1, four.work_dir / 'iter_8.pth')
    compare('1, 4, then 1, DDP', one, back, slice(8, None))
    assert f'Resuming from {four.work_dir / "iter_8.pth"}' in back.log()


@pytest.fixture(scope='module')
def four_shards(ranks, config):
    return ranks.train('fsdp4', sharded(config, 'sharded'), 4)


def test_sharded_training_is_that_of_one_process(ranks, config, one, four_shards):
    two = ranks.train('fsdp2', sharded(config, 'full'), 2)
    for world_size, run in ((2, two), (4, four_shards)):
        assert run.steps(0) == run.steps(world_size - 1)
        compare(f'{world_size}, FSDP', one, run)
    folder = four_shards.work_dir / 'iter_12.pth'
    assert len(list(folder.glob('*.distcp'))) == 4
    assert (two.work_dir / 'iter_12.pth').is_file()
    # a full one is what a run without sharding writes: the same keys in the same order
    first, second = one.checkpoint('iter_12.pth'), two.checkpoint('iter_12.pth')
    assert list(first['state_dict']) == list(second['state_dict'])
    assert list(first['optimizer']['state']) == list(second['optimizer']['state'])
    assert first['param_schedulers'] == second['param_schedulers']


def test_sharded_and_full_checkpoints_resume_anywhere(ranks, config, one, four_shards):
    """Four shards to two ranks, to one process without sharding, and back."""
    four = four_shards.work_dir
    two = ranks.train('shards_to_two', sharded(config, 'full'), 2, four / 'iter_4.pth')
    compare('4 then 2, FSDP', one, two, slice(4, None))
    assert (four / 'iter_4.pth').is_dir() and (two.work_dir / 'iter_8.pth').is_file()
    single = ranks.train('two_to_one', config, 1, two.work_dir / 'iter_8.pth')
    compare('4, 2 (FSDP), then 1', one, single, slice(8, None))
    single = ranks.train('shards_to_one', config, 1, four / 'iter_8.pth')
    compare('4 (FSDP), then 1', one, single, slice(8, None))
    ddp = ranks.train('shards_to_ddp', config, 2, four / 'iter_8.pth')
    compare('4 (FSDP), then 2 (DDP)', one, ddp, slice(8, None))
    back = ranks.train('one_to_shards', sharded(config, 'sharded'), 2, one.work_dir / 'iter_4.pth')
    compare('1, then 2 (FSDP)', one, back, slice(4, None))
    assert (back.work_dir / 'iter_8.pth').is_dir()
    for run, steps in ((two, 8), (single, 4), (ddp, 4), (back, 8)):
        assert len(run.steps()) == steps and 'Resuming from' in run.log()


def test_checkpoints_with_one_parameter_group_per_parameter_resume(ranks, config):
    """Those of earlier versions, full and sharded, go on as if the groups were merged before."""
    config = Config(config.to_dict())
    config.optim_wrapper.optimizer.weight_decay = 0.05
    merged, old = Config(config.to_dict()), Config(config.to_dict())
    paramwise = dict(norm_decay_mult=0.0, bias_decay_mult=0.0)
    merged.optim_wrapper.update(
        constructor='mssdf.TrainableOptimWrapperConstructor', paramwise_cfg=paramwise
    )
    old.optim_wrapper.update(constructor='DefaultOptimWrapperConstructor', paramwise_cfg=paramwise)
    whole = ranks.train('merged', merged)
    assert len(whole.checkpoint('iter_12.pth')['optimizer']['param_groups']) == 2

    before = ranks.train('ungrouped', old)
    assert len(before.checkpoint('iter_4.pth')['optimizer']['param_groups']) > 20
    start = before.work_dir / 'iter_4.pth'
    after = ranks.train('regrouped', merged, 1, start)
    compare('merged groups, 1', whole, after, slice(4, None))
    after = ranks.train('regrouped_shards', sharded(merged, 'full'), 2, start)
    compare('merged groups, then 2 (FSDP)', whole, after, slice(4, None))

    before = ranks.train('ungrouped_shards', sharded(old, 'sharded'), 2)
    after = ranks.train(
        'shards_regrouped', sharded(merged, 'sharded'), 2, before.work_dir / 'iter_4.pth'
    )
    compare('2 (FSDP), then merged groups', whole, after, slice(4, None))


def test_a_sharded_checkpoint_drops_into_a_plain_vit(config, four_shards, tmp_path):
    """Published straight from the folder; the same as by way of a full one."""
    from mmpretrain.models import VisionTransformer

    tools = Path(__file__).resolve().parents[2] / 'tools' / 'model_tools'
    run = {
        name: runpy.run_path(str(tools / f'{name}.py'))['main']
        for name in ('convert_sharded', 'publish_model')
    }
    folder, full = four_shards.work_dir / 'iter_12.pth', tmp_path / 'full.pth'
    assert run['convert_sharded']([str(folder), str(full)]) == 0
    for name, path in (('direct', folder), ('full', full)):
        assert run['publish_model']([str(path), str(tmp_path / f'{name}.pth')]) == 0
    direct, by_way = (next(tmp_path.glob(f'{name}-*.pth')) for name in ('direct', 'full'))
    assert direct.stem.split('-')[1] == by_way.stem.split('-')[1]  # of the files' SHA-256
    settings = {key: config.model.backbone[key] for key in ('arch', 'img_size', 'patch_size')}
    plain = VisionTransformer(**settings)
    load_pretrained(plain, str(direct), prefix='backbone.')
    for name, value in read_checkpoint(full)['state_dict'].items():
        if name.startswith('backbone.'):
            assert torch.equal(plain.state_dict()[name.removeprefix('backbone.')], value)


def test_a_checkpoint_of_another_width_is_refused_by_all_ranks(ranks, config, one):
    config = sharded(config, 'sharded')
    config.model.backbone.arch.embed_dims = 96
    with pytest.raises(AssertionError, match=r'does not fit the model: .* expected') as caught:
        ranks.train('other', config, 2, one.work_dir / 'iter_4.pth')
    assert str(caught.value).count('CheckpointError: the checkpoint does not fit the model') == 2


def test_accumulated_gradients(ranks, config, one):
    """Two steps in one: on one process, on two with DDP and on two sharded."""
    config = Config(config.to_dict())
    config.optim_wrapper.accumulative_counts = 2
    single = ranks.train('accumulated', config)
    assert single.steps()[0] == one.steps()[0]
    assert weight_error(one.weights(), single.weights()) > 1e-3
    compare('2, DDP, accumulated', single, ranks.train('accumulated2', config, 2))
    run = ranks.train('accumulated_fsdp', sharded(config, 'sharded'), 2)
    # gradients are averaged over ranks first and added up then: other roundings, for AdamW to scale
    compare('2, FSDP, accumulated', single, run, weight=2e-4)


@pytest.mark.parametrize('how', ['DDP', 'FSDP'])
def test_pictures_by_one_rank_of_two(ranks, config, one, how):
    """A hook that runs the model on rank 0 alone has it whole; training does not notice."""
    config = sharded(config, 'full') if how == 'FSDP' else Config(config.to_dict())
    config.model.checkpoint_activations = True
    config.custom_hooks.append(
        dict(type='mssdf.PretrainPanelHook', interval=5, by_epoch=False, num_windows=2)
    )
    run = ranks.train(f'panel_{how}', config, 2)
    assert len(list(run.work_dir.rglob('*.png'))) >= 2
    compare(f'2, {how}, checkpointed', one, run)
