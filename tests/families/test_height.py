"""Height estimation as a user runs it."""

import numpy as np
import pytest
import rasterio

pytest.importorskip('mmseg')


@pytest.mark.parametrize(
    'data, size', [('us3d', 256), ('potsdam-height', 256), ('vaihingen-height', 128)]
)
def test_scores_in_meters(trial, data, size):
    example = data.removesuffix('-height')
    run = trial(
        f'height_estimation/mssdf_vit-t-p16-vpd_4xb8-adamw-30e_{data}',
        example,
        **{
            'train_cfg.max_epochs': 1,
            'train_cfg.val_interval': 1,
            'train_dataloader.dataset.indices': 4,
            'train_dataloader.dataset.pipeline.2.crop_size': '(64,64)',
        },
    )
    assert run.train() == 0
    assert run.train('--resume', **{'train_cfg.max_epochs': 2}) == 0
    assert 'resumed epoch: 1' in run.log
    scores = run.test()
    folder = 'height_dir/val' if data == 'us3d' else 'dsm_dir/val'
    errors, truths = [], []
    for path in sorted((run.folder / 'out').glob('*.tif')):
        with rasterio.open(path) as raster:
            predicted = raster.read(1)
            assert predicted.shape == (size, size) and predicted.dtype == np.float32
        with rasterio.open(run.data_root / folder / path.name) as raster:
            truth, valid = raster.read(1), raster.read_masks(1) > 0
        errors.append((predicted - truth)[valid])
        truths.append(truth[valid])
    error, truth = np.concatenate(errors).astype(float), np.concatenate(truths)
    assert len(errors) == 3
    assert scores['RMSE'] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-4)
    assert scores['MAE'] == pytest.approx(np.abs(error).mean(), rel=1e-4)
    maximum = 200 if data == 'us3d' else 50
    assert scores['RMSE_scaled'] == pytest.approx(scores['RMSE'] / maximum, rel=1e-4)
    counted = truth > 1
    ratio = np.maximum((error + truth) / truth, truth / (error + truth))[counted]
    assert scores['d1'] == pytest.approx((ratio < 1.25).mean(), abs=1e-3)
    # the first answers are near the ground, not half of the greatest height
    assert scores['MAE'] < 10
