"""Test-time augmentation against answers that are turned back and averaged by hand."""

from copy import deepcopy

import pytest
import torch
from mmengine.structures import PixelData

pytest.importorskip('mmseg')

from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmseg.structures import SegDataSample

from mssdf.registry import MODELS

from .test_segmentors import ARCH, SIZE, head, settings

FLIPS = dict(plain=None, horizontal=2, vertical=1)  # which dimension of (C, H, W)


def batch(bands, **truth):
    """One image, plain and turned, as a pipeline of mmcv's TestTimeAug hands it over."""
    image = torch.randn(bands, SIZE, SIZE)
    inputs, samples = [], []
    for name, dim in FLIPS.items():
        meta = dict(
            img_shape=(SIZE, SIZE),
            ori_shape=(SIZE, SIZE),
            pad_shape=(SIZE, SIZE),
            img_path='scene.tif',
            flip=dim is not None,
            flip_direction=None if dim is None else name,
        )
        sample = SegDataSample(metainfo=meta)
        for key, value in truth.items():
            sample.set_data({key: PixelData(data=value)})
        inputs.append([image if dim is None else image.flip(dim)])
        samples.append([sample])
    return image, dict(inputs=inputs, data_samples=samples)


def wrapped(config, tta):
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(ConfigDict(type=tta, module=deepcopy(config)))
    model.module.init_weights()
    return model.eval()


def logits_of(model, image):
    meta = dict(ori_shape=(SIZE, SIZE), img_shape=(SIZE, SIZE))
    return model.module.encode_decode(image[None], [meta])[0]


@torch.no_grad()
def find_change_in_half(model, image):
    """A fresh change head finds change everywhere or nowhere."""
    head = model.module.decode_head.conv_seg
    head.weight.mul_(100)
    logits = logits_of(model, image)
    head.bias[1] -= (logits[1] - logits[0]).median()


def turned_back(model, image):
    """Answers (C, H, W) for the image as it is and turned, each turned back."""
    return [
        logits_of(model, image) if dim is None else logits_of(model, image.flip(dim)).flip(dim)
        for dim in FLIPS.values()
    ]


@torch.no_grad()
def test_height():
    config = settings(
        type='mmseg.DepthEstimator',
        data_preprocessor=dict(type='mssdf.HeightDataPreprocessor'),
        backbone=dict(
            type='mssdf.DenseVisionTransformer', arch=dict(ARCH), img_size=SIZE, out_indices=[2]
        ),
        neck=dict(
            type='mmseg.MultiLevelNeck',
            in_channels=[48],
            out_channels=16,
            scales=[4, 2, 1, 0.5],
        ),
        decode_head=dict(
            type='mssdf.HeightHead',
            max_depth=50.0,
            in_channels=[16] * 4,
            embed_dim=8,
            feature_dim=64,
            num_deconv_layers=1,
            num_deconv_filters=(8,),
            loss_decode=dict(type='mssdf.HeightLoss'),
        ),
    )
    model = wrapped(config, 'mssdf.HeightTTA')
    # a fresh head answers nearly the same everywhere
    model.module.decode_head.depth_pred_layer[-1].weight.mul_(1e4)
    truth = torch.rand(1, SIZE, SIZE)
    image, data = batch(3, gt_depth_map=truth)
    (merged,) = model.test_step(data)

    parts = turned_back(model, image)
    assert (parts[0] - parts[1]).abs().max() > 1e-3  # else nothing would be averaged
    torch.testing.assert_close(merged.pred_depth_map.data, sum(parts) / 3)
    assert torch.equal(merged.gt_depth_map.data, truth)
    assert not merged.flip


@torch.no_grad()
def test_change():
    model = wrapped(settings(type='mssdf.SiameseEncoderDecoder'), 'mssdf.ChangeTTA')
    image, data = batch(6)
    find_change_in_half(model, image)
    (merged,) = model.test_step(data)
    parts = turned_back(model, image)
    mean = sum(part.softmax(dim=0) for part in parts) / 3
    torch.testing.assert_close(merged.seg_logits.data.exp(), mean)
    assert torch.equal(merged.pred_sem_seg.data[0], (mean[1] > mean[0]).long())
    assert merged.img_path == 'scene.tif' and not merged.flip


@torch.no_grad()
def test_change_agrees_with_mmseg():
    config = settings(type='mssdf.SiameseEncoderDecoder')
    ours, theirs = wrapped(config, 'mssdf.ChangeTTA'), wrapped(config, 'mmseg.SegTTAModel')
    image, data = batch(6)
    find_change_in_half(ours, image)
    theirs.load_state_dict(ours.state_dict())
    (a,), (b,) = ours.test_step(deepcopy(data)), theirs.test_step(deepcopy(data))
    assert 0 < a.pred_sem_seg.data.float().mean() < 1
    assert torch.equal(a.pred_sem_seg.data, b.pred_sem_seg.data)


@torch.no_grad()
def test_semantic_change():
    classes = 3
    config = settings(type='mssdf.SemanticChangeDetector', land_cover_head=head(classes))
    model = wrapped(config, 'mssdf.SemanticChangeTTA')
    image, data = batch(6)
    find_change_in_half(model, image)
    find_change_in_half(model, image)
    (merged,) = model.test_step(data)
    parts = turned_back(model, image)
    assert len(parts[0]) == 2 + 2 * classes
    change, first, second = (
        sum(part[place].softmax(dim=0) for part in parts) / 3
        for place in (slice(0, 2), slice(2, 5), slice(5, 8))
    )
    changed = change[1] > change[0]
    assert 0 < changed.sum() < changed.numel()
    assert torch.equal(merged.pred_sem_seg.data[0], changed.long())
    for row, column in torch.nonzero(changed)[::97].tolist():
        pairs = {
            (float(first[i, row, column] * second[j, row, column]), i + 1, j + 1)
            for i in range(classes)
            for j in range(classes)
            if i != j
        }
        found = tuple(
            int(merged.get(name).data[0, row, column]) for name in ('pred_first', 'pred_second')
        )
        assert found == max(pairs)[1:]
    assert not merged.pred_first.data[0][~changed].any()
    assert not merged.pred_second.data[0][~changed].any()


def test_plain_answer_alone_changes_nothing():
    model = wrapped(settings(type='mssdf.SiameseEncoderDecoder'), 'mssdf.ChangeTTA')
    _, data = batch(6)
    alone = {key: value[:1] for key, value in deepcopy(data).items()}
    (merged,) = model.test_step(alone)
    (plain,) = model.module.test_step({key: value[0] for key, value in data.items()})
    assert torch.equal(merged.pred_sem_seg.data, plain.pred_sem_seg.data)
