"""Data that do not fit the model stop the run before its first iteration, with one clear line."""

import importlib.util
import json
import random
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, DefaultSampler, InfiniteSampler
from mmengine.structures import BaseDataElement, PixelData
from torch import nn
from torch.utils.data import DataLoader

from mssdf.datasets.transforms import NormalizeBands
from mssdf.engine.data_check import (
    DataCheckError,
    Expectations,
    Findings,
    Labels,
    build_loops,
    check_class_names,
    check_length,
    check_sample,
    expectations_of,
)
from mssdf.engine.hooks.data_check_hook import check_dataset, check_place
from mssdf.engine.nodata_check import lost_nodata
from mssdf.models import MultiModalVisionTransformer

TRAIN = Path(__file__).resolve().parents[2] / 'tools/train.py'
SEGMENTATION = Expectations(
    bands=3,
    bands_key='model.backbone.in_channels',
    labels=dict(gt_sem_seg=Labels(5, 'model.decode_head.num_classes')),
)
HEIGHT = Expectations(bands=3, bands_key='model.backbone.in_channels', max_depth=20.0)


def pixels(values) -> PixelData:
    return PixelData(data=torch.as_tensor(values)[None])


def packed(inputs=None, size=(8, 8), **fields) -> dict:
    sample = BaseDataElement(metainfo=dict(img_path='a.tif', ori_shape=size))
    sample.set_data(fields)
    return dict(inputs=torch.zeros(3, *size) if inputs is None else inputs, data_samples=sample)


def labeled(*values, size=(8, 8)) -> dict:
    labels = np.zeros(size, np.int64)
    labels.flat[: len(values)] = values
    return packed(size=size, gt_sem_seg=pixels(labels))


def high(*values, size=(8, 8)) -> dict:
    heights = np.full(size, np.nan, np.float32)
    heights.flat[: len(values)] = values
    return packed(size=size, gt_depth_map=pixels(heights))


class Samples:
    """A dataset of packed samples; an exception among them is raised."""

    metainfo: dict = {}

    def __init__(self, *samples, **metainfo):
        self.samples, self.metainfo, self.read = samples, metainfo, []

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        self.read.append(index)
        random.random(), np.random.random(), torch.rand(1)
        if isinstance(self.samples[index], Exception):
            raise self.samples[index]
        return self.samples[index]

    def get_data_info(self, index):
        return dict(img_path=f'img/{index}.tif', seg_map_path=f'ann/{index}.png')


def conv(bands: int, **attributes) -> nn.Module:
    backbone = nn.Sequential(nn.Conv2d(bands, 4, 16))
    for name, value in attributes.items():
        setattr(backbone, name, value)
    return backbone


def model(**parts) -> nn.Module:
    made = nn.Module()
    for name, part in parts.items():
        setattr(made, name, part)
    return made


def head(count: int, **attributes) -> nn.Module:
    return model(num_classes=count, **attributes)


def test_what_a_model_expects():
    found = expectations_of(model(backbone=conv(4), decode_head=head(6, ignore_index=9)))
    assert (found.bands, found.bands_key) == (4, 'model.backbone.in_channels')
    assert found.labels == dict(gt_sem_seg=Labels(6, 'model.decode_head.num_classes', 9))

    two_dates = model(num_dates=2, backbone=conv(3), decode_head=head(2), land_cover_head=head(6))
    found = expectations_of(SimpleNamespace(module=two_dates))
    assert found.bands == 6 and '2 dates' in found.bands_key
    assert {name: labels.count for name, labels in found.labels.items()} == dict(
        gt_sem_seg=2, gt_first=7, gt_second=7
    )

    found = expectations_of(model(backbone=conv(3, modalities=dict(rgb=3, dsm=1)), head=head(10)))
    assert (found.bands, found.bands_key) == (4, 'model.backbone.modalities')
    assert found.labels['gt_label'].count == 10

    cascade = model(roi_head=model(bbox_head=nn.ModuleList([head(20), head(20)])))
    assert expectations_of(cascade).labels['gt_instances'].count == 20
    heights = expectations_of(model(backbone=conv(3), decode_head=head(1, max_depth=50.0)))
    assert heights.max_depth == 50


def test_normalization_of_the_preprocessor():
    from mmengine.model import ImgDataPreprocessor

    preprocessor = ImgDataPreprocessor(mean=[10.0, 20.0, 30.0], std=[1.0, 2.0, 3.0])
    expected = expectations_of(model(data_preprocessor=preprocessor))
    assert expected.mean.tolist() == [10, 20, 30] and expected.std.tolist() == [1, 2, 3]
    without = expectations_of(model(data_preprocessor=ImgDataPreprocessor()))
    assert without.mean is without.std is None


def stopped(sample: dict, expected: Expectations, training: bool = True) -> str:
    with pytest.raises(DataCheckError) as raised:
        check_sample(sample, expected, Findings(), training)
    return str(raised.value)


def test_bands():
    check_sample(packed(), SEGMENTATION, Findings(), True)
    said = stopped(packed(torch.zeros(4, 8, 8)), SEGMENTATION)
    assert 'expected 3 bands (model.backbone.in_channels), found 4' in said
    mean = Expectations(mean=torch.zeros(3), std=torch.ones(3))
    assert 'model.data_preprocessor.mean), found 4' in stopped(packed(torch.zeros(4, 8, 8)), mean)
    assert 'found the shape (8, 8)' in stopped(packed(torch.zeros(8, 8)), SEGMENTATION)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_inputs_that_are_not_finite(value):
    inputs = torch.zeros(3, 8, 8)
    inputs[1, 2, :5] = value
    assert 'NaN or infinite ones: 5 of 192' in stopped(packed(inputs), SEGMENTATION)


def test_nan_is_nodata_to_a_backbone_that_says_so():
    inputs = torch.zeros(3, 8, 8)
    inputs[1] = float('nan')
    expected = Expectations(takes_nodata=True)
    check_sample(packed(inputs), expected, Findings(), training=True)
    inputs[0, 2, :5] = float('inf')
    assert 'NaN or infinite ones: 5 of 192' in stopped(packed(inputs), expected)


@pytest.mark.parametrize('keep_nodata', [False, True])
def test_pipelines_that_turn_nodata_into_values(keep_nodata):
    backbone = MultiModalVisionTransformer(dict(rgb=3), arch='deit-tiny', img_size=32)
    assert expectations_of(SimpleNamespace(backbone=backbone)).takes_nodata
    pipeline = Compose([NormalizeBands([0] * 3, [1] * 3, keep_nodata=keep_nodata)])
    warning = lost_nodata(SimpleNamespace(pipeline=pipeline))
    assert (warning is None) is keep_nodata
    assert keep_nodata or 'expected NormalizeBands(keep_nodata=True)' in warning
    assert lost_nodata(SimpleNamespace()) is None


def test_inputs_far_from_their_mean_are_told():
    expected = Expectations(mean=torch.full((3,), 120.0), std=torch.full((3,), 60.0))
    findings = Findings()
    check_sample(packed(torch.full((3, 8, 8), 300.0)), expected, findings, True)
    assert not findings.warnings
    check_sample(packed(torch.full((3, 8, 8), 3000.0)), expected, findings, True)
    assert '48 standard deviations' in findings.warnings[0]


def test_labels():
    findings = Findings()
    for sample in (labeled(1, 255), labeled(4, 0)):
        check_sample(sample, SEGMENTATION, findings, True)
    assert findings.labels == dict(gt_sem_seg={0, 1, 4})
    check_sample(labeled(*[255] * 64), SEGMENTATION, findings, True)
    for wrong in (5, -1, 254, 256, 261):  # 256 and 261 are 0 and 5 as 8 bits
        said = stopped(labeled(wrong), SEGMENTATION)
        assert 'expected labels 0 to 4 (model.decode_head.num_classes)' in said
        assert f'found [{wrong}]' in said
    other = Expectations(labels=dict(gt_sem_seg=Labels(5, 'num_classes', -100)))
    check_sample(labeled(-100, 4), other, findings, True)
    assert 'or -100 (unknown), found [156]' in stopped(labeled(156), other)  # -100 as 8 bits
    classes = Expectations(labels=dict(gt_label=Labels(10, 'model.head.num_classes')))
    check_sample(packed(gt_label=torch.tensor([9])), classes, Findings(), True)
    assert 'found [10]' in stopped(packed(gt_label=torch.tensor([10])), classes)
    boxes = Expectations(labels=dict(gt_instances=Labels(2, 'model.bbox_head.num_classes')))
    objects = BaseDataElement(labels=torch.tensor([0, 1, 3]))
    assert 'found [3]' in stopped(packed(gt_instances=objects), boxes)


def test_sizes():
    small = labeled(1, size=(4, 8))
    small['inputs'] = torch.zeros(3, 8, 8)
    assert 'size of the image, 8 x 8, found 4 x 8' in stopped(small, SEGMENTATION)
    # in a test, labels have the size of the file, and inputs may be resized
    check_sample(small, SEGMENTATION, Findings(), False)
    heights = high(1.0, size=(4, 8))
    heights['inputs'] = torch.zeros(3, 8, 8)
    assert 'heights of the size of the image' in stopped(heights, HEIGHT)


def test_heights_beyond_the_head_are_told():
    findings = check_dataset(Samples(high(3.0, 20.0), high(0.0)), HEIGHT, 8, True)
    assert not findings.warnings
    findings = check_dataset(Samples(high(3.0, 20.0), high(1.0, 25.0, -1.0, 4.0)), HEIGHT, 8, True)
    (warning,) = findings.warnings
    assert warning.startswith('a.tif: 50.0% of the heights lie outside 0 ... 20 m')
    assert 'max_depth' in warning and '-1 ... 25 m' in warning


def test_no_height_anywhere():
    check_dataset(Samples(high(), high(1.0)), HEIGHT, 8, True)
    with pytest.raises(DataCheckError, match='expected heights .*, found none known in 2 samples'):
        check_dataset(Samples(high(), high()), HEIGHT, 8, True)


def test_no_label_anywhere_is_told():
    unknown = packed(gt_sem_seg=pixels(np.full((8, 8), 255)))
    assert not check_dataset(Samples(unknown, labeled(1)), SEGMENTATION, 8, True).warnings
    (warning,) = check_dataset(Samples(unknown, unknown), SEGMENTATION, 8, True).warnings
    assert 'none of 2 samples has anything known in gt_sem_seg' in warning


def test_augmented_samples_are_looked_at_too():
    plain = packed(torch.zeros(4, 8, 8))
    augmented = {key: [value, value] for key, value in plain.items()}
    assert 'found 4' in stopped(augmented, SEGMENTATION)


def test_samples_are_spread_and_files_named():
    dataset = Samples(*(labeled(1) for _ in range(101)))
    check_dataset(dataset, SEGMENTATION, 5, True)
    assert dataset.read == [0, 25, 50, 75, 100]
    broken = Samples(labeled(1), OSError('truncated\nfile'))
    with pytest.raises(DataCheckError) as raised:
        check_dataset(broken, SEGMENTATION, 8, True)
    assert str(raised.value) == ('img/1.tif + ann/1.png: cannot be read: OSError: truncated file')
    with pytest.raises(DataCheckError, match=re.escape('a.tif: gt_sem_seg: expected')):
        check_dataset(Samples(labeled(7)), SEGMENTATION, 8, True)
    with pytest.raises(DataCheckError, match='expected samples, found none'):
        check_dataset(Samples(), SEGMENTATION, 8, True)


def test_class_names():
    check_class_names(list('abcde'), SEGMENTATION)
    check_class_names(None, SEGMENTATION)
    with pytest.raises(DataCheckError, match='expected 5 names .*found 3: a, b, c'):
        check_class_names(list('abc'), SEGMENTATION)
    # land covers, and a model of change alone
    two_dates = expectations_of(model(num_dates=2, backbone=conv(3), decode_head=head(2)))
    check_class_names(list('abcdefg'), two_dates)
    dataset = Samples(labeled(1), classes=list('abcde'))
    dataset.cat_ids, dataset.ann_file = [1, 2], 'train.json'
    with pytest.raises(DataCheckError, match='train.json: expected a category for each of the 5'):
        check_dataset(dataset, SEGMENTATION, 8, True)


def load_train():
    spec = importlib.util.spec_from_file_location('train_for_checks', TRAIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CONFIG = """
default_scope = 'mmpretrain'
custom_imports = dict(imports=['mssdf'], allow_failed_imports=False)
arch = dict(embed_dims=24, num_layers=1, num_heads=3, feedforward_channels=48)
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(mean=[120, 120, 120], std=[60, 60, 60], to_rgb=True),
    backbone=dict(type='VisionTransformer', arch=arch, img_size=64, patch_size=16),
    head=dict(type='LinearClsHead', num_classes=3, in_channels=24))
dataset = dict(
    type='CustomDataset', data_root='scenes', data_prefix='', with_label=True,
    pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')])
loader = dict(
    batch_size=3, num_workers=0, dataset=dataset, sampler=dict(type='DefaultSampler', shuffle=True))
train_dataloader, val_dataloader = loader, loader
val_evaluator = dict(type='Accuracy', topk=(1,))
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
train_cfg = dict(by_epoch=True, max_epochs=1)
val_cfg = dict()
default_hooks = dict(
    data_check=dict(type='mssdf.DataCheckHook', num_samples=4),
    logger=dict(type='LoggerHook', interval=1))
randomness = dict(seed=0)
"""


@pytest.fixture
def scenes(tmp_path, data_root, monkeypatch):
    """Three folders of three images each, and a training of one epoch on them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('MSSDF_DATA', raising=False)
    torch.set_num_threads(1)
    for name in ('Forest', 'River', 'SeaLake'):
        (tmp_path / 'scenes' / name).mkdir(parents=True)
        for path in sorted((data_root / 'eurosat_rgb' / name).glob('*.jpg'))[:3]:
            shutil.copy(path, tmp_path / 'scenes' / name)
    (tmp_path / 'tiny.py').write_text(CONFIG)
    return tmp_path / 'scenes'


def run(*options: str) -> int:
    arguments = ['tiny.py', '--work-dir', 'run', *(['--cfg-options', *options] if options else [])]
    return load_train().main(arguments)


def losses() -> list[float]:
    (log,) = Path('run').glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line['loss'] for line in lines if 'loss' in line]


def test_a_run_that_fits_is_the_same_with_and_without(scenes):
    assert run() == 0
    checked = losses()
    assert 'train_dataloader: 4 of 9 samples checked; labels seen: gt_label [0, 1, 2]' in (
        '\n'.join(path.read_text() for path in Path('run').glob('*/*.log'))
    )
    shutil.rmtree('run')
    assert run('default_hooks.data_check.num_samples=0') == 0
    assert losses() == checked and len(checked) == 3


@pytest.mark.parametrize(
    'option, said',
    [
        ('model.head.num_classes=2', 'classes: expected 2 names (model.head.num_classes), found 3'),
        ('model.backbone.in_channels=4', 'expected 4 bands (model.backbone.in_channels), found 3'),
        ('model.data_preprocessor.mean=[0,nan,0]', 'found NaN or infinite ones'),
        ('train_dataloader.dataset.data_root=gone', 'gone'),
        ('train_dataloader.dataset.classes=[a,b]', "doesn't match the number of specified classes"),
    ],
)
def test_a_run_that_does_not_fit_is_one_line(scenes, capsys, option, said):
    assert run(option) == 2
    (line,) = [each for each in capsys.readouterr().out.splitlines() if each.startswith('train.py')]
    assert said in line and 'train_dataloader' in line
    assert not list(Path('run').glob('*.pth'))


def test_a_file_that_is_none_is_named(scenes, capsys):
    broken = sorted(scenes.glob('Forest/*.jpg'))[0]
    broken.write_bytes(b'no image')
    assert run() == 2
    said = capsys.readouterr().out
    assert f'train.py: train_dataloader: scenes/Forest/{broken.name}' in said.replace('./', '')


def test_loops_that_cannot_be_built():
    class Runner:
        @property
        def train_loop(self):
            raise FileNotFoundError('no such folder')

        val_loop = None

    build_loops(Runner(), 'val')
    with pytest.raises(DataCheckError, match='train_dataloader: FileNotFoundError: no such folder'):
        build_loops(Runner(), 'train', 'val')


def test_an_epoch_without_a_batch():
    samples = list(range(5))

    def loader(batch_size, sampler=DefaultSampler, drop_last=True):
        return DataLoader(
            samples, batch_size=batch_size, sampler=sampler(samples), drop_last=drop_last
        )

    for fits in (loader(5), loader(6, drop_last=False), loader(6, InfiniteSampler), None):
        check_length('train_dataloader', fits)
    with pytest.raises(DataCheckError, match=r'train_dataloader\.batch_size: .* at most 5, .* 6;'):
        check_length('train_dataloader', loader(6))


def test_a_submission_that_is_there_is_told_before_anything_is_predicted(tmp_path):
    metric = SimpleNamespace(merge_patches=True, outfile_prefix=str(tmp_path / 'dota_submission'))
    evaluator = SimpleNamespace(metrics=[SimpleNamespace(), metric])
    check_place(evaluator)
    check_place(None)
    (tmp_path / 'dota_submission').mkdir()
    with pytest.raises(DataCheckError, match=r'\.outfile_prefix: .*dota_submission;'):
        check_place(evaluator)
