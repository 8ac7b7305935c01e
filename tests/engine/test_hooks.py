import json
import os
import random
import shutil
import time

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmpretrain.models import VisionTransformer
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier

from mssdf.engine.hooks.knn_hook import KNNHook
from mssdf.engine.hooks.throughput_hook import batch_size, peak_memory
from mssdf.engine.log_processor import Compact


class State(Hook):
    """Random states, weights and modes before and after the hooks under test."""

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self.states = []

    def look(self, runner):
        self.states.append(
            (
                torch.get_rng_state().tolist(),
                np.random.get_state()[1].tolist(),
                random.getstate(),
                [module.training for module in runner.model.modules()],
                [value.sum().item() for value in runner.model.state_dict().values()],
            )
        )


class Before(State):
    priority = 65  # after the timer and logger

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.look(runner)


class After(Before):
    priority = 80


@pytest.fixture
def small_images(tmp_path, data_root):
    """Three classes of ten real images each."""
    for name in ('Forest', 'Residential', 'SeaLake'):
        folder = tmp_path / 'images' / name
        folder.mkdir(parents=True)
        for path in sorted((data_root / 'eurosat_rgb' / name).glob('*.jpg'))[:10]:
            shutil.copy(path, folder)
    return tmp_path / 'images'


def scalars(work_dir) -> list[dict]:
    (path,) = work_dir.glob('*/vis_data/scalars.json')
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_knn_and_panel(tiny_config, build_runner, small_images, tmp_path):
    tiny_config.train_cfg.max_epochs = 1
    tiny_config.custom_hooks += [
        dict(type='mssdf.KNNHook', images=str(small_images), by_epoch=False, interval=4, k=5),
        dict(type='mssdf.PretrainPanelHook', interval=4, num_windows=2, dpi=40),
    ]
    runner = build_runner(tiny_config)
    before, after = Before(), After()
    runner.register_hook(before)
    runner.register_hook(after)
    runner.train()

    # nothing of the training was touched
    assert len(before.states) == 6
    assert before.states == after.states
    assert True in before.states[0][3] and False in before.states[0][3]  # student and teacher

    knn = [row for row in scalars(tmp_path / 'run') if 'knn/accuracy' in row]
    assert [row['step'] for row in knn] == [0, 4, 6]
    assert all({'knn/effective_rank', 'knn/feature_std'} <= set(row) for row in knn)

    # the last one, by hand: plain ViT, PIL, scikit-learn
    arch = dict(embed_dims=48, num_layers=2, num_heads=3, feedforward_channels=96)
    vit = VisionTransformer(arch=arch, img_size=64, patch_size=16, out_type='raw')
    vit.load_state_dict(runner.model.backbone.state_dict())
    vit.eval()
    files = sorted(small_images.glob('*/*.jpg'))
    pixels = torch.stack(
        [torch.from_numpy(np.asarray(Image.open(path))).permute(2, 0, 1) for path in files]
    )
    with torch.no_grad():
        features = vit((pixels.float() - 120) / 50)[0][:, 1:].mean(dim=1).numpy()
    labels = np.repeat([0, 1, 2], 10)
    rng = np.random.default_rng(0)
    query = np.concatenate([rng.permutation(np.arange(10) + 10 * c)[:3] for c in range(3)])
    bank = np.setdiff1d(np.arange(30), query)
    classifier = KNeighborsClassifier(5, metric='cosine').fit(features[bank], labels[bank])
    expected = classifier.score(features[query], labels[query])
    assert knn[-1]['knn/accuracy'] == pytest.approx(expected)

    names = sorted(path.name for path in (tmp_path / 'run' / 'panels').iterdir())
    assert names == ['iter_000004.png', 'iter_000006.png']
    shown = sorted((tmp_path / 'run').glob('*/vis_data/vis_image/*.png'))
    assert len(shown) == 2
    drawn = np.asarray(Image.open(tmp_path / 'run' / 'panels' / names[1]))
    assert drawn.std() > 10
    np.testing.assert_array_equal(drawn, np.asarray(Image.open(shown[1]))[..., :3])


def test_panel_shows_the_same_windows_and_masks(tiny_config, build_runner, tmp_path, monkeypatch):
    seen = []
    from mssdf.engine.hooks import pretrain_panel_hook

    draw = pretrain_panel_hook.draw_pretrain_panel
    monkeypatch.setattr(
        pretrain_panel_hook,
        'draw_pretrain_panel',
        lambda data, caption: (seen.append((data, caption)), draw(data, caption))[1],
    )
    tiny_config.train_cfg.max_epochs = 1
    tiny_config.custom_hooks = [
        *(hook for hook in tiny_config.custom_hooks if 'Schedule' not in hook.type),
        dict(type='mssdf.PretrainPanelHook', interval=3, indices=[2, 7], dpi=30),
    ]
    runner = build_runner(tiny_config)
    runner.train()
    (first, caption), (second, _) = seen
    assert 'iteration 3' in caption and 'loss' in caption
    for name in ('rgb', 'dsm'):
        np.testing.assert_array_equal(first.masks[name], second.masks[name])
        np.testing.assert_array_equal(first.images[name], second.images[name])
        assert not np.array_equal(first.predicted[name], second.predicted[name])
    # in the sensors' own units again
    from mssdf.datasets import SampleIndex

    sample = runner.train_dataloader.dataset[SampleIndex(7, 0)]
    rgb, dsm = (sample['inputs'][name].numpy().astype(float) for name in ('rgb', 'dsm'))
    np.testing.assert_allclose(first.images['rgb'][1], rgb, atol=1e-3)
    height = np.sort(dsm, axis=None)[(dsm.size - 1) // 2]
    valid = sample['valid']['dsm'].numpy()
    np.testing.assert_allclose(first.images['dsm'][1][valid], (dsm - height)[valid], atol=1e-3)
    assert first.units == {'dsm': 'm, relative'}


def test_baseline_without_inspect_is_left_out(tiny_config, build_runner, tmp_path):
    mean, std = [120.0] * 3, [50.0] * 3
    tiny_config.model = dict(
        type='mmpretrain.MAE',
        data_preprocessor=dict(
            type='mssdf.SingleModalityDataPreprocessor',
            modalities=dict(rgb=dict(mean=mean, std=std)),
        ),
        backbone=dict(
            type='mmpretrain.MAEViT',
            arch=dict(embed_dims=48, num_layers=2, num_heads=3, feedforward_channels=96),
            img_size=64,
        ),
        neck=dict(
            type='mmpretrain.MAEPretrainDecoder',
            num_patches=16,
            embed_dim=48,
            decoder_embed_dim=24,
            decoder_depth=1,
            decoder_num_heads=3,
        ),
        head=dict(
            type='mmpretrain.MAEPretrainHead',
            norm_pix=True,
            patch_size=16,
            loss=dict(type='mmpretrain.PixelReconstructionLoss', criterion='L2'),
        ),
    )
    images = tmp_path / 'images'
    for label in 'ab':
        (images / label).mkdir(parents=True)
        for number in range(4):
            pixels = np.random.default_rng(number).integers(0, 255, (64, 64, 3), np.uint8)
            Image.fromarray(pixels).save(images / label / f'{number}.png')
    tiny_config.train_cfg.max_epochs = 1
    tiny_config.custom_hooks = [
        dict(type='mssdf.IterationSeedHook'),
        dict(type='mssdf.ThroughputHook'),
        dict(type='mssdf.KNNHook', images=str(images), k=2),
        dict(type='mssdf.PretrainPanelHook', interval=2),
    ]
    build_runner(tiny_config).train()
    assert not (tmp_path / 'run' / 'panels').exists()
    rows = scalars(tmp_path / 'run')
    assert [row['step'] for row in rows if 'knn/accuracy' in row] == [0, 6]
    assert any('pairs_per_s' in row for row in rows)


def test_knn_says_what_is_gained_over_the_untrained_encoder(
    tiny_config, build_runner, small_images, tmp_path
):
    """Of all images, by scikit-learn; a resumed run knows what the untrained encoder found."""
    tiny_config.train_cfg.max_epochs = 2
    tiny_config.default_hooks.checkpoint = dict(type='mssdf.CheckpointHook', interval=1)
    tiny_config.custom_hooks.append(
        dict(type='mssdf.KNNHook', images=str(small_images), folds=5, k=5)
    )
    build_runner(tiny_config).train()
    knn = [row for row in scalars(tmp_path / 'run') if 'knn/accuracy' in row]
    assert [row['step'] for row in knn] == [0, 6, 12]
    assert all(round(row['knn/accuracy'] * 30) / 30 == row['knn/accuracy'] for row in knn)
    assert 'knn/gain' not in knn[0]
    for row in knn[1:]:
        gain = row['knn/accuracy'] - knn[0]['knn/accuracy']
        assert row['knn/gain'] == pytest.approx(gain)
        assert row['knn/gain_low'] <= gain <= row['knn/gain_high']

    tiny_config.load_from = str(tmp_path / 'run' / 'epoch_1.pth')
    tiny_config.resume = True
    tiny_config.work_dir = str(tmp_path / 'resumed')
    build_runner(tiny_config).train()
    (last,) = (row for row in scalars(tmp_path / 'resumed') if 'knn/accuracy' in row)
    assert last == knn[-1]

    # another vote is no comparison
    tiny_config.custom_hooks[-1].update(pool='cls')
    tiny_config.work_dir = str(tmp_path / 'other')
    build_runner(tiny_config).train()
    (last,) = (row for row in scalars(tmp_path / 'other') if 'knn/accuracy' in row)
    assert 'knn/gain' not in last


@pytest.mark.parametrize(
    'settings, message',
    [
        (dict(folds=5, split_file='split.json'), 'expected folds or split_file'),
        (dict(folds=1), r'KNNHook\.folds: expected an integer of at least 2, found 1'),
        (dict(folds='5'), r'KNNHook\.folds'),
        (dict(k=0), r'KNNHook\.k: expected an integer of at least 1'),
    ],
)
def test_knn_refuses_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        KNNHook('images', **settings)


@pytest.mark.parametrize(
    'hooks, message',
    [
        ([dict(folds=11)], r'KNNHook\.folds: expected at most 10'),
        ([dict(k=200)], r'KNNHook\.k: expected at most 21, the images that vote, found 200'),
        ([dict(k=5), dict(k=3)], r"KNNHook\.prefix: .* found 'knn' twice"),
    ],
)
def test_knn_refuses_before_training_what_its_images_do_not_allow(
    tiny_config, build_runner, small_images, hooks, message
):
    """Not after the first interval, whose checkpoint would be lost."""
    tiny_config.custom_hooks += [
        dict(type='mssdf.KNNHook', images=str(small_images), before_train=False) | hook
        for hook in hooks
    ]
    runner = build_runner(tiny_config)
    with pytest.raises(ValueError, match=message):
        runner.train()
    assert runner.iter == 0


def test_knn_looks_for_its_images_before_training(tiny_config, build_runner, tmp_path):
    tiny_config.custom_hooks.append(dict(type='mssdf.KNNHook', images=str(tmp_path / 'gone')))
    with pytest.raises(FileNotFoundError, match='gone'):
        build_runner(tiny_config).train()


class Slow(Hook):
    """Take 30 ms before each iteration, after the batch has come."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        time.sleep(0.03)


def test_throughput(tiny_config, build_runner, tmp_path):
    tiny_config.train_cfg.max_epochs = 1
    tiny_config.default_hooks.checkpoint.interval = -1
    runner = build_runner(tiny_config)
    runner.register_hook(Slow())
    dataset = runner.train_loop.dataloader.dataset
    read = type(dataset).__getitem__

    class SlowlyRead(type(dataset)):
        def __getitem__(self, index):
            time.sleep(0.06)  # twice a batch
            return read(self, index)

    dataset.__class__ = SlowlyRead
    runner.train()
    row = [row for row in scalars(tmp_path / 'run') if 'pairs_per_s' in row][-1]
    # two pairs take at least 2 * 60 + 30 ms, of which at least 120 are waited for
    assert 1 < row['pairs_per_s'] < 2 / 0.15
    assert row['data_wait'] * 2 / row['pairs_per_s'] > 0.12
    assert row['data_wait'] < 1 - 0.03 * row['pairs_per_s'] / 2
    with open('/proc/self/statm') as file:
        resident = int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2**20
    assert row['ram_mib'] <= peak_memory()
    assert peak_memory() > resident * 0.95


def test_batch_size_of_what_collates_give():
    tensor = torch.zeros(3, 2)
    for batch in (
        dict(inputs=dict(rgb=tensor, dsm=tensor)),
        dict(inputs=tensor),
        dict(inputs=[1, 2, 3]),
        [1, 2, 3],
    ):
        assert batch_size(batch) == 3


@pytest.mark.parametrize(
    'value, shown',
    [
        (100.0, '100'),
        (0.000314159, '0.0003142'),
        (12.34567, '12.35'),
        (1234.5, '1234'),
        (0.0, '0'),
        (float('nan'), 'nan'),
        (-0.5, '-0.5'),
        (3e12, '3e+12'),
    ],
)
def test_compact(value, shown):
    assert f'{Compact(value):.4f}' == shown
    assert json.dumps(Compact(value)) == json.dumps(value)


def test_compact_leaves_learning_rates_alone():
    assert f'{Compact(1.5e-4):.4e}' == '1.5000e-04'


def test_checkpoints_by_epoch(tiny_config, build_runner, tmp_path):
    tiny_config.default_hooks.checkpoint.update(by_epoch=True, interval=2, max_keep_ckpts=1)
    build_runner(tiny_config).train()
    assert [path.name for path in (tmp_path / 'run').glob('*.pth')] == ['epoch_3.pth']
    assert (tmp_path / 'run' / 'last_checkpoint').read_text().endswith('run/epoch_3.pth')


def test_old_checkpoints_stay_until_the_new_one_is_there(
    tiny_config, build_runner, tmp_path, monkeypatch
):
    tiny_config.default_hooks.checkpoint.update(interval=2, max_keep_ckpts=1)
    from mssdf.utils import atomic_file

    there, write = [], atomic_file.write_atomically

    def look(path, content):
        there.append(sorted(p.name for p in (tmp_path / 'run').glob('*.pth')))
        write(path, content)

    monkeypatch.setattr(atomic_file, 'write_atomically', look)
    tiny_config.train_cfg.max_epochs = 1
    build_runner(tiny_config).train()
    assert there == [[], ['iter_2.pth'], ['iter_4.pth']]
