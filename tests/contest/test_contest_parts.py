import os
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config
from mmpretrain.models.necks import MAEPretrainDecoder
from torch import nn

from mssdf.cli.configs import read_config
from mssdf.contest import Budget, Clock, adapt_recipe, parse_entry
from mssdf.contest.averages import RunningMeans
from mssdf.contest.data import common_modalities, prepare_tiles
from mssdf.contest.method_hooks import RunnerView, build_method_hooks
from mssdf.contest.optimizer import BudgetOptimizer, rate_factor
from mssdf.contest.training import build_model
from mssdf.models import ZeroHeadMAEDecoder
from mssdf.utils.modality_keys import READING, without

MAE = 'configs/pretrain/mae_vit-t-p16_quick-start.py'
OURS = 'configs/pretrain/mssdf_vit-t-p16_quick-start.py'
PAPER = 'configs/pretrain/mssdf-paper_vit-b-p16_8xb64-amp-coslr-500e_hr-pairs-320.py'
SMALL = dict(embed_dims=48, num_layers=6, num_heads=3, feedforward_channels=96)


def test_budgets_count_seconds_or_windows():
    seconds, windows = Budget.parse('1.5s'), Budget.parse('100w')
    assert (seconds.share(0.75, 10**6), seconds.share(9, 0)) == (0.5, 1.0)
    assert (windows.share(10**6, 25), str(windows)) == (0.25, '100 windows')
    for wrong in ('600', '10m', '-3s', '0w', ''):
        with pytest.raises(ValueError, match='budget: expected seconds such as 600s'):
            Budget.parse(wrong)


def test_seconds_on_a_cpu_are_those_of_the_process():
    """Sleeping, as a process does that others keep from its core, costs nothing."""
    clock = Clock(torch.device('cpu'))
    time.sleep(0.3)
    assert clock.seconds < 0.1
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    assert 0.1 <= clock.seconds < 0.3


def test_entries_are_a_name_a_config_and_options():
    entry = parse_entry(
        'a.b-1=configs/x_1e-3.py:model.data_preprocessor.weights=(1, 1.0,2),lr=3e-4,'
        'model.losses.rec=None,model.neck.type=mssdf.ZeroHeadMAEDecoder,model.x=[1,{"a": 2}]'
    )
    assert (entry.name, entry.config) == ('a.b-1', 'configs/x_1e-3.py')
    assert entry.options == {
        'model.data_preprocessor.weights': (1, 1.0, 2),
        'lr': 3e-4,
        'model.losses.rec': None,
        'model.neck.type': 'mssdf.ZeroHeadMAEDecoder',
        'model.x': [1, {'a': 2}],
    }
    assert parse_entry('configs/y.py').name == 'y'
    for wrong in ('--budget', 'a=b', 'a b=c.py', 'x=c.py:model.a', 'x=c.py:=3'):
        with pytest.raises(ValueError, match='expected'):
            parse_entry(wrong)


def test_adapting_makes_every_recipe_buildable_at_another_size(project_root):
    for name in (MAE, OURS, PAPER):
        given = read_config(str(project_root / name))
        before = given.pretty_text
        config = adapt_recipe(
            given, SMALL, 64, dict(rgb=dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0]))
        )
        assert given.pretty_text == before
        model = build_model(config, 0, torch.device('cpu'))
        assert model.backbone.embed_dims == 48 and model.backbone.pos_embed.shape == (1, 17, 48)
        assert model.data_preprocessor.mean_rgb.flatten().tolist() == [1, 2, 3]
        if name == MAE:
            assert model.neck.decoder_pos_embed.shape[1] == 17
            assert model.neck.decoder_embed.in_features == 48
            assert list(model.data_preprocessor.channels) == ['rgb']
        else:
            assert model.data_preprocessor.modalities['dsm'] == (
                without(READING, given.model.data_preprocessor.modalities.dsm)
            )
    assert adapt_recipe(given, 'deit-small').model.backbone.arch == 'deit-small'
    with pytest.raises(ValueError, match='multiple of the patch size 16, found 100'):
        adapt_recipe(given, img_size=100)


def test_modalities_of_all_recipes_are_read_together(project_root):
    configs = {name: read_config(str(project_root / name)) for name in (MAE, OURS, PAPER)}
    modalities, relative = common_modalities(configs)
    assert list(modalities) == ['rgb', 'dsm'] and relative == ['dsm']


def test_the_head_of_mae_starts_at_the_constant(project_root):
    settings = dict(num_patches=16, embed_dim=24, decoder_embed_dim=32, decoder_num_heads=2)
    torch.manual_seed(0)
    ordinary = MAEPretrainDecoder(decoder_depth=1, **settings)
    ordinary.init_weights()
    torch.manual_seed(0)
    zero = ZeroHeadMAEDecoder(decoder_depth=1, **settings)
    zero.init_weights()
    differing = [
        key
        for key, value in ordinary.state_dict().items()
        if not torch.equal(value, zero.state_dict()[key])
    ]
    assert differing == ['decoder_pred.weight', 'decoder_pred.bias']
    tokens = torch.randn(2, 5, 24)
    ids = torch.stack([torch.randperm(16) for _ in range(2)])
    assert (zero(tokens, ids) == 0).all() and (ordinary(tokens, ids) != 0).any()


def test_the_rate_rises_and_falls():
    shares = np.linspace(0, 1, 101)
    found = [rate_factor(float(share), 0.1) for share in shares]
    expected = np.where(shares < 0.1, shares / 0.1, (1 + np.cos(np.pi * (shares - 0.1) / 0.9)) / 2)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_step_is_that_of_adamw_with_the_rules_of_the_config():
    """Against torch's own AdamW and clipping, with the decay rules written out by hand."""
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    twin = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    twin.load_state_dict(model.state_dict())
    config = Config(
        dict(
            optim_wrapper=dict(
                type='AmpOptimWrapper',
                dtype='bfloat16',
                optimizer=dict(type='AdamW', lr=1.0, betas=(0.9, 0.95), weight_decay=0.5),
                constructor='mssdf.TrainableOptimWrapperConstructor',
                paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
                clip_grad=dict(max_norm=0.1),
            )
        )
    )
    optimizer = BudgetOptimizer(model, config, lr=0.01, warm_up=0.0)
    decayed = [twin[0].weight]
    others = [p for p in twin.parameters() if p is not twin[0].weight]
    own = torch.optim.AdamW(
        [dict(params=decayed, weight_decay=0.5), dict(params=others, weight_decay=0.0)],
        lr=0.01,
        betas=(0.9, 0.95),
    )
    inputs = torch.randn(8, 4)
    for share in (0.0, 0.5):
        model(inputs).square().sum().backward()
        optimizer.step(share)
        twin(inputs).square().sum().backward()
        nn.utils.clip_grad_norm_(twin.parameters(), 0.1)
        for group in own.param_groups:
            group['lr'] = 0.01 * (1.0 if share == 0 else 0.5)
        own.step()
        own.zero_grad()
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_the_hooks_of_the_method_follow_the_share(project_root):
    config = read_config(str(project_root / PAPER))
    hooks = build_method_hooks(config)
    assert [type(hook).__name__ for hook in hooks] == ['ScheduleHook', 'TeacherHook']
    model = build_model(adapt_recipe(config, SMALL, 64), 0, torch.device('cpu'))
    runner = RunnerView(model, max_epochs=500)
    for iteration, share, ratio in ((0, 0.0, 0.1), (8, 0.02 + 1e-9, 0.2), (300, 0.75, 0.7)):
        runner.move(iteration, share)
        for hook in hooks:
            hook.before_train_iter(runner, iteration)
            hook.after_train_iter(runner, iteration)
        assert model.iteration == iteration
        assert model.data_preprocessor.cross_modal_ratio == pytest.approx(ratio)
        momentum = 1 - 0.004 * (1 + np.cos(np.pi * share)) / 2
        assert runner.message_hub.values['momentum'] == pytest.approx(momentum, abs=1e-5)
    assert runner.max_iters == 400


def test_means_are_over_the_iterations_that_have_a_value():
    means = RunningMeans()
    for number in range(4):
        values = dict(loss=torch.tensor(float(number)))
        if number % 2:
            values['rank'] = torch.tensor([number, number + 2.0])
        means.add(values)
    assert means.take() == dict(loss=1.5, rank=3.0)
    assert means.take() == {}


def write_scene(path: Path, value: int) -> None:
    """An image of 16 x 16 pixels of one value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = dict(driver='GTiff', height=16, width=16, count=3, dtype='uint8', crs='EPSG:32610')
    with rasterio.open(path, 'w', transform=rasterio.Affine(1, 0, 0, 0, -1, 0), **profile) as file:
        file.write(np.full((3, 16, 16), value, np.uint8))


def test_tiles_follow_the_files_of_the_data(tmp_path):
    """A scene that is new, changed or gone shows in the next call; other files do not."""
    root, modalities = tmp_path / 'pairs', dict(rgb=dict(suffix='_rgb.tif'))

    def values() -> list[int]:
        tiles = prepare_tiles(tmp_path / 'out', [str(root)], {}, modalities, [], 16)
        return tiles.images['rgb'][:, 0, 0, 0].tolist()

    write_scene(root / 'patch/a_rgb.tif', 10)
    assert values() == [10]
    write_scene(root / 'patch/b_rgb.tif', 20)
    assert values() == [10, 20]
    write_scene(root / 'patch/a_rgb.tif', 30)
    assert values() == [30, 20]
    os.remove(root / 'patch/b_rgb.tif')
    assert values() == [30]

    kept = (tmp_path / 'out/tiles.npz').stat().st_mtime_ns
    (root / 'patch/notes.txt').write_text('of no modality')
    assert values() == [30] and (tmp_path / 'out/tiles.npz').stat().st_mtime_ns == kept
    mask = np.zeros((16, 16), np.uint8)
    mask[0] = 255  # beside the raster, so that it keeps its own size and time
    profile = dict(driver='GTiff', height=16, width=16, count=1, dtype='uint8')
    with rasterio.open(root / 'patch/a_rgb.tif.msk', 'w', **profile) as file:
        file.update_tags(INTERNAL_MASK_FLAGS_1='2')
        file.write(mask, 1)
    with pytest.raises(ValueError, match='found none in 1 scene'):
        values()
    with pytest.raises(FileNotFoundError, match='--data .* found none'):
        prepare_tiles(tmp_path / 'out', [str(tmp_path / 'none')], {}, modalities, [], 16)
