"""A small segmentation of one's own images and masks, trained by the tool, for tests."""

import importlib.util
from pathlib import Path

import numpy as np
import rasterio

TRAIN = Path(__file__).resolve().parents[2] / 'tools/train.py'
CONFIG = """
default_scope = 'mmseg'
custom_imports = dict(imports=['mssdf'], allow_failed_imports=False)
arch = dict(embed_dims=24, num_layers=1, num_heads=3, feedforward_channels=48)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[120] * 3, std=[60] * 3, bgr_to_rgb=True, size=(32, 32)),
    backbone=dict(
        type='mssdf.DenseVisionTransformer', arch=arch, img_size=32, patch_size=16,
        out_indices=[0]),
    decode_head=dict(
        type='FCNHead', in_channels=24, channels=8, num_convs=1, num_classes=2,
        norm_cfg=dict(type='BN')),
    train_cfg=dict(), test_cfg=dict(mode='whole'))
dataset = dict(
    type='BaseSegDataset', data_root='own', img_suffix='.png', seg_map_suffix='.png',
    metainfo=dict(classes=('background', 'building')),
    data_prefix=dict(img_path='img', seg_map_path='ann'),
    pipeline=[
        dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')])
train_dataloader = dict(
    batch_size=3, num_workers=0, dataset=dataset,
    sampler=dict(type='DefaultSampler', shuffle=False))
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
train_cfg = dict(by_epoch=True, max_epochs=1)
default_hooks = dict(data_check=dict(type='mssdf.DataCheckHook', num_samples=4))
randomness = dict(seed=0)
"""


def write(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = values[None] if values.ndim == 2 else values
    profile = dict(count=len(bands), height=bands.shape[1], width=bands.shape[2])
    driver = 'PNG' if path.suffix == '.png' else 'GTiff'
    with rasterio.open(path, 'w', driver=driver, dtype=bands.dtype, **profile) as raster:
        raster.write(bands)


def lay_out(root: Path, masks: np.ndarray) -> None:
    """Write noise and its masks (N, H, W)."""
    rng = np.random.default_rng(0)
    for number, mask in enumerate(masks):
        write(root / f'img/{number:03d}.png', rng.integers(0, 255, (3, 32, 32), np.uint8))
        write(root / f'ann/{number:03d}.png', mask.astype(np.uint8))


def mask(*values: int, share: float = 0.3) -> np.ndarray:
    """(32, 32) of the first value, a share of each other one."""
    made = np.full(1024, values[0])
    size = round(1024 * share)
    for number, value in enumerate(values[1:]):
        made[number * size : (number + 1) * size] = value
    return made.reshape(32, 32)


def train(capsys, *options: str) -> tuple[int, str]:
    spec = importlib.util.spec_from_file_location('train_for_masks', TRAIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    extra = ['--cfg-options', *options] if options else []
    status = module.main(['own.py', '--work-dir', 'run', *extra])
    said = capsys.readouterr()
    return status, said.out + said.err


def stopped(capsys, *options: str) -> str:
    status, said = train(capsys, *options)
    assert status == 2 and 'Traceback' not in said, said
    (line,) = [each for each in said.splitlines() if each.startswith('train.py')]
    assert not list(Path('run').glob('*.pth'))
    return line
