"""Overlays fit the configs of every family, or say in one line why not."""

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from shipped_configs import CONFIGS, FOLDER, OVERLAYS, need_ops
from torch import nn

from mssdf.cli.config_check import check_config
from mssdf.cli.overlays import read_with_overlays
from mssdf.errors import UsageError

ENCODER = {'scratch', 'frozen', 'random', 'small', 'compiled'}
LABELS = ENCODER | {'labels-20', 'labels-50'}
LARGE = [  # one for each base that has the widths of ViT-L
    'classification/mssdf_vit-b-p16_4xb64-adamw-100e_aid.py',
    'classification/mssdf_vit-b-p16_4xb64-adamw-100e_eurosat-ms.py',
    'classification/mssdf_vit-b-p16-linear_4xb64-sgd-90e_aid.py',
    'segmentation/mssdf_vit-b-p16-upernet_4xb4-adamw-80k_potsdam-dsm.py',
    'height_estimation/mssdf_vit-b-p16-vpd_4xb8-adamw-30e_us3d.py',
    'change_detection/mssdf_vit-b-p16-semantic-change_1xb8-adamw-40k_second.py',
    'detection/mssdf_vit-b-p16-faster-rcnn_4xb4-adamw-12e_rgbn.py',
    'rotated_detection/mssdf_vit-b-p16-oriented-rcnn_4xb4-adamw-12e_dota.py',
]
FITTING = {
    'pretrain/mssdf_vit-t-p16_quick-start.py': {'fsdp', 'compiled'},
    'pretrain/mae_vit-t-p16_quick-start.py': {'compiled'},
    'classification/mssdf_vit-t-p16_4xb64-adamw-100e_ucm.py': LABELS,
    'classification/mssdf_vit-t-p16_4xb64-adamw-100e_eurosat-ms.py': LABELS,
    'classification/mssdf_vit-t-p16-linear_4xb64-sgd-90e_ucm.py': LABELS - {'scratch'},
    'segmentation/mssdf_vit-t-p16-upernet_4xb4-adamw-80k_loveda.py': LABELS,
    'segmentation/mssdf_vit-t-p16-upernet_4xb4-adamw-80k_potsdam.py': LABELS | {'eroded'},
    'segmentation/mssdf_vit-t-p16-upernet_4xb4-adamw-80k_vaihingen-dsm.py': (
        LABELS | {'eroded', 'dsm-missing'}
    ),
    'height_estimation/mssdf_vit-t-p16-vpd_4xb8-adamw-30e_potsdam-height.py': ENCODER,
    'change_detection/mssdf_vit-t-p16-siamese-upernet_1xb16-adamw-40k_levir-cd.py': ENCODER,
    'change_detection/mssdf_vit-t-p16-semantic-change_1xb8-adamw-40k_second.py': ENCODER,
    'detection/mssdf_vit-t-p16-faster-rcnn_4xb4-adamw-12e_dior.py': ENCODER,
    'rotated_detection/mssdf_vit-t-p16-oriented-rcnn_4xb4-adamw-12e_dota.py': ENCODER,
}
CASES = [(name, overlay) for name in FITTING for overlay in OVERLAYS]


def test_every_family_is_tried_with_overlays():
    assert {name.partition('/')[0] for name in FITTING} == {
        path.relative_to(FOLDER).parts[0] for path in CONFIGS
    }
    assert set().union(*FITTING.values(), {'large'}) == set(OVERLAYS)


@pytest.mark.parametrize(('name', 'overlay'), CASES)
def test_an_overlay_fits_or_says_why_not(name, overlay):
    path = FOLDER / name
    need_ops(path)
    if overlay not in FITTING[name]:
        with pytest.raises(UsageError, match=rf'^overlay {overlay}: expected .*, found [^\n]*$'):
            read_with_overlays(path, [overlay])
        return
    check_config(read_with_overlays(path, [overlay]))


@pytest.mark.parametrize('name', LARGE)
def test_the_large_encoder_fits_its_heads(name):
    path = FOLDER / name
    need_ops(path)
    config = read_with_overlays(path, ['large'])
    check_config(config)
    with DefaultScope.overwrite_default_scope(config.default_scope), torch.device('meta'):
        model = MODELS.build(config.model)
    assert (model.backbone.embed_dims, len(model.backbone.layers)) == (1024, 24)
    taken = {each.in_channels for each in model.modules() if isinstance(each, nn.Conv2d)}
    taken |= {each.in_features for each in model.modules() if isinstance(each, nn.Linear)}
    assert 1024 in taken and 768 not in taken
