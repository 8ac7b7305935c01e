"""The libraries' own inferencers read our configs, also where nothing of ours was imported."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('mmseg')

PROJECT = Path(__file__).resolve().parents[2]
DETECTION = pytest.mark.detection
CONFIGS = [
    ('mmseg', 'segmentation/mssdf_vit-t-p16-upernet_4xb4-adamw-80k_potsdam', ()),
    ('mmseg', 'segmentation/mssdf_vit-t-p16-upernet_4xb4-adamw-80k_isaid', ()),
    ('mmseg', 'height_estimation/mssdf_vit-t-p16-vpd_4xb8-adamw-30e_us3d', ()),
    ('mmdet', 'detection/mssdf_vit-t-p16-faster-rcnn_4xb4-adamw-12e_dior', DETECTION),
    ('mmdet', 'rotated_detection/mssdf_vit-t-p16-oriented-rcnn_4xb4-adamw-12e_dota', DETECTION),
]


@pytest.mark.parametrize(
    ('library', 'config'),
    [pytest.param(library, config, marks=marks) for library, config, marks in CONFIGS],
)
def test_they_agree(library, config, tmp_path):
    if library == 'mmdet':
        pytest.importorskip('mmcv.ops', reason="needs mmcv's compiled ops", exc_type=ImportError)
    image = tmp_path / 'a.png'
    pixels = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    cv2.imwrite(str(image), pixels)
    done = subprocess.run(
        [
            sys.executable,
            Path(__file__).with_name('inferencer_script.py'),
            library,
            PROJECT / f'configs/{config}.py',
            image,
            tmp_path / 'w.pth',
        ],
        capture_output=True,
        text=True,
        timeout=400,
        cwd=tmp_path,
        env=dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(PROJECT)),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith('agree on (96, 128)' if library == 'mmseg' else 'agree on (')
