"""The head of heights before it has learned anything."""

from collections.abc import Iterator

import pytest
import torch
from mmengine.registry import DefaultScope

pytest.importorskip('mmseg')

from mssdf.models.height import HeightDataPreprocessor, HeightHead  # noqa: E402

SMALL = dict(
    in_channels=[32] * 4,
    embed_dim=16,
    feature_dim=128,
    num_deconv_layers=2,
    num_deconv_filters=(16, 16),
)


@pytest.fixture(autouse=True)
def _mmseg() -> Iterator[None]:
    """The scope in which mmseg's head finds its loss."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def levels() -> list[torch.Tensor]:
    return [torch.randn(2, 32, size, size) for size in (32, 16, 8, 4)]


@torch.no_grad()
def test_first_answers_are_near_the_ground_and_not_all_the_same():
    torch.manual_seed(0)  # one draw in fifteen spreads a little less
    head = HeightHead(initial_height=3.0, max_depth=200.0, **SMALL)
    head.init_weights()
    for training in (True, False):
        heights = head.train(training)(levels())
        assert heights.shape == (2, 1, 128, 128)
        assert heights.median() == pytest.approx(3.0, rel=0.3)
        assert heights.std() > 0.005


def test_initial_height_is_within_reach():
    with pytest.raises(ValueError, match='less than max_depth .5.0., found 7'):
        HeightHead(initial_height=7, max_depth=5.0, **SMALL)


def test_padding_is_an_unknown_height():
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    sample = SegDataSample(gt_depth_map=PixelData(data=torch.ones(1, 20, 20)))
    sample.set_metainfo(dict(img_shape=(20, 20)))
    batch = dict(inputs=[torch.zeros(3, 20, 20)], data_samples=[sample])
    batch = HeightDataPreprocessor(size_divisor=16)(batch, training=True)
    heights = batch['data_samples'][0].gt_depth_map.data
    assert batch['inputs'].shape == (1, 3, 32, 32) and heights.shape == (1, 32, 32)
    assert heights[:, :20, :20].eq(1).all() and heights.isnan().sum() == 32 * 32 - 400
