"""The change models whole, on small random images, against their parts."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
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
    labeled = samples(2, semantic=False)
    loss = model.loss(images, labeled)['decode.loss_ce'].item()
    assert loss == pytest.approx(entropy(model.decode_head(model.extract_feat(images)), labeled))


def enlarged(logits: torch.Tensor) -> torch.Tensor:
    """Logits at the size of the images."""
    return torch.nn.functional.interpolate(logits, size=(SIZE, SIZE), mode='bilinear')


def entropy(logits: torch.Tensor, labeled: list, name: str = 'gt_sem_seg', first: int = 0) -> float:
    """Mean cross-entropy in NumPy over the pixels whose label is at least ``first``."""
    logits = enlarged(logits).detach().double().numpy()
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    labels = np.stack([getattr(sample, name).data[0].numpy() for sample in labeled])
    image, row, col = np.nonzero((labels >= first) & (labels != 255))
    return -logs[image, labels[image, row, col] - first, row, col].mean()


def test_equal_dates_have_no_difference():
    model = build(settings(type='mssdf.SiameseEncoderDecoder')).eval()
    image = torch.randn(1, 3, SIZE, SIZE)
    features = model.extract_feat(torch.cat([image, image], dim=1))
    nothing = model.neck([torch.zeros(1, 48, 4, 4)] * 2)
    assert all(torch.allclose(a, b) for a, b in zip(features, nothing, strict=True))


@pytest.fixture(params=[True, False], ids=['shared', 'separate'])
def detector(request):
    """Dates are told apart by the concatenation, and by heads of their own."""
    config = settings(
        type='mssdf.SemanticChangeDetector',
        decode_head=head(2) | dict(in_channels=16 if request.param else 32),
        land_cover_head=head(3),
        share_land_cover_head=request.param,
        fusion='difference' if request.param else 'concatenation',
        consistency_weight=0.4,
    )
    return build(config)


def date_logits(detector, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Logits of the change and of each date, each date through the encoder by itself."""
    first, second = (
        detector.neck(detector.backbone(part)) for part in (images[:, :3], images[:, 3:])
    )
    pairs = list(zip(first, second, strict=True))
    if detector.second_land_cover_head is detector.land_cover_head:
        fused = [(a - b).abs() for a, b in pairs]
    else:
        fused = [torch.cat(pair, dim=1) for pair in pairs]
    return dict(
        change=detector.decode_head(fused),
        first=detector.land_cover_head(first),
        second=detector.second_land_cover_head(second),
    )


def test_each_date_is_learned_from_its_own_image_and_labels(detector):
    detector.eval()
    images, labeled = torch.randn(2, 6, SIZE, SIZE), samples(2)
    labeled[0].gt_second.data[0, :9] = 255
    logits, losses = date_logits(detector, images), detector.loss(images, labeled)
    for date in ('first', 'second'):
        expected = entropy(logits[date], labeled, f'gt_{date}', first=1)
        assert losses[f'{date}.loss_land_cover'].item() == pytest.approx(expected, rel=1e-4)
    expected = entropy(logits['change'], labeled)
    assert losses['change.loss_ce'].item() == pytest.approx(expected, rel=1e-4)

    first, second = (logits[date].softmax(dim=1).detach().numpy() for date in ('first', 'second'))
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    similar = (first * second).sum(axis=1) / lengths
    step = SIZE // similar.shape[1]
    changed = np.stack([one.gt_sem_seg.data[0, ::step, ::step].numpy() for one in labeled]) == 1
    expected = 0.4 * np.where(changed, similar, 1 - similar).mean()
    assert losses['loss_consistency'].item() == pytest.approx(expected, rel=1e-4)


def test_maps_are_those_of_their_dates(detector):
    detector.eval()
    detector.test_cfg = ConfigDict(mode='whole')
    detector.decode_head.conv_seg.bias.data[:] = torch.tensor([-50.0, 50.0])  # everything changes
    images = torch.randn(2, 6, SIZE, SIZE)
    logits = {name: enlarged(one).softmax(1) for name, one in date_logits(detector, images).items()}
    agreed = 0
    for index, result in enumerate(detector.predict(images, samples(2))):
        assert (result.pred_sem_seg.data == 1).all()
        first, second = (logits[date][index].argmax(dim=0) for date in ('first', 'second'))
        differ = first != second  # else the likeliest pair of different ones is taken
        agreed += int(differ.sum())
        assert torch.equal(result.pred_first.data[0][differ], first[differ] + 1)
        assert torch.equal(result.pred_second.data[0][differ], second[differ] + 1)
    assert agreed > 50


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
    for date in ('first', 'second'):
        assert losses[f'{date}.loss_land_cover'] == 0
    assert 0 < losses['change.loss_ce'].item() < 5
    # nothing changed: only that the dates differ costs
    assert 0 <= losses['loss_consistency'].item() <= 0.4


@pytest.mark.parametrize('mode', ['whole', 'slide'])
def test_predicted_maps_agree_with_each_other(detector, mode):
    detector.test_cfg = dict(mode='whole')
    if mode == 'slide':
        detector.test_cfg.update(mode='slide', crop_size=(32, 32), stride=(16, 16))
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
