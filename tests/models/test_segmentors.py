"""The change models whole, on small random images, against their parts."""

from copy import deepcopy

import pytest
import torch
from mmengine.structures import PixelData

pytest.importorskip('mmseg')

from mmengine.registry import DefaultScope
from mmseg.structures import SegDataSample

from mssdf.registry import MODELS

from .tiny import ARCH

SIZE = 64


def head(num_classes):
    return dict(
        type='mmseg.FCNHead',
        in_channels=16,
        in_index=1,
        channels=8,
        num_convs=1,
        concat_input=False,
        num_classes=num_classes,
        dropout_ratio=0.0,
        norm_cfg=None,
        loss_decode=dict(type='mmseg.CrossEntropyLoss'),
    )


def settings(**extra):
    return (
        dict(
            data_preprocessor=dict(type='mmseg.SegDataPreProcessor'),
            backbone=dict(
                type='mssdf.DenseVisionTransformer',
                arch=dict(ARCH),
                img_size=SIZE,
                out_indices=[1, 2],
            ),
            neck=dict(
                type='mmseg.MultiLevelNeck', in_channels=[48, 48], out_channels=16, scales=[2, 1]
            ),
            decode_head=head(2),
            test_cfg=dict(mode='whole'),
        )
        | extra
    )


def build(config):
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(deepcopy(config))
    model.init_weights()
    return model


def samples(count, semantic=True):
    made = []
    for _ in range(count):
        first = torch.randint(0, 4, (1, SIZE, SIZE))
        second = torch.where(first > 0, torch.randint(1, 4, first.shape), 0)
        sample = SegDataSample(
            metainfo=dict(img_shape=(SIZE, SIZE), ori_shape=(SIZE, SIZE), pad_shape=(SIZE, SIZE))
        )
        sample.gt_sem_seg = PixelData(data=(first > 0).long())
        if semantic:
            sample.set_data(dict(gt_first=PixelData(data=first), gt_second=PixelData(data=second)))
        made.append(sample)
    return made


@pytest.mark.parametrize('fusion', ['difference', 'concatenation'])
def test_siamese_features_are_those_of_each_date(fusion):
    config = settings(type='mssdf.SiameseEncoderDecoder', fusion=fusion)
    if fusion == 'concatenation':
        config['neck']['in_channels'] = [96, 96]
    model = build(config).eval()
    images = torch.randn(2, 6, SIZE, SIZE)
    first, second = model.backbone(images[:, :3]), model.backbone(images[:, 3:])
    fused = [
        (a - b).abs() if fusion == 'difference' else torch.cat([a, b], dim=1)
        for a, b in zip(first, second, strict=True)
    ]
    for expected, found in zip(model.neck(fused), model.extract_feat(images), strict=True):
        assert torch.allclose(expected, found, atol=1e-5)
    losses = model.loss(images, samples(2, semantic=False))
    assert torch.isfinite(losses['decode.loss_ce'])


def test_equal_dates_have_no_difference():
    model = build(settings(type='mssdf.SiameseEncoderDecoder')).eval()
    image = torch.randn(1, 3, SIZE, SIZE)
    features = model.extract_feat(torch.cat([image, image], dim=1))
    nothing = model.neck([torch.zeros(1, 48, 4, 4)] * 2)
    assert all(torch.allclose(a, b) for a, b in zip(features, nothing, strict=True))


@pytest.fixture(params=[True, False], ids=['shared', 'separate'])
def detector(request):
    config = settings(
        type='mssdf.SemanticChangeDetector',
        land_cover_head=head(3),
        share_land_cover_head=request.param,
    )
    return build(config)


def test_semantic_change_learns_from_every_part(detector):
    losses = detector.loss(torch.randn(2, 6, SIZE, SIZE), samples(2))
    total = sum(value for name, value in losses.items() if 'loss' in name)
    assert {name.split('.')[0] for name in losses} >= {'change', 'first', 'second'}
    total.backward()
    for name, parameter in detector.named_parameters():
        if name.startswith(('backbone.layers', 'decode_head', 'land_cover', 'second')):
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name


def test_batch_without_change_has_no_nan(detector):
    unchanged = samples(2)
    for sample in unchanged:
        for name in ('gt_sem_seg', 'gt_first', 'gt_second'):
            getattr(sample, name).data.zero_()
    losses = detector.loss(torch.randn(2, 6, SIZE, SIZE), unchanged)
    assert all(torch.isfinite(value).all() for value in losses.values())
    assert losses['first.loss_land_cover'] == 0


@pytest.mark.parametrize('mode', ['whole', 'slide'])
def test_predicted_maps_agree_with_each_other(detector, mode):
    detector.test_cfg = dict(mode='whole')
    if mode == 'slide':
        detector.test_cfg.update(mode='slide', crop_size=(32, 32), stride=(16, 16))
    from mmengine.config import ConfigDict

    detector.test_cfg = ConfigDict(detector.test_cfg)
    detector.eval()
    for result in detector.predict(torch.randn(2, 6, SIZE, SIZE), samples(2)):
        change, first, second = (
            getattr(result, name).data for name in ('pred_sem_seg', 'pred_first', 'pred_second')
        )
        assert change.shape == first.shape == second.shape == (1, SIZE, SIZE)
        assert ((first > 0) == (change == 1)).all() and ((second > 0) == (change == 1)).all()
        assert not ((first == second) & (change == 1)).any()
        assert first.max() <= 3
