"""One line where mmcv has no compiled ops."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import importlib.util, runpy, sys
find_spec = importlib.util.find_spec
hidden = 'mmcv._ext'
importlib.util.find_spec = lambda name, *rest: None if name == hidden else find_spec(name, *rest)
sys.argv = ['tools/train.py', 'configs/detection/{config}', '--data-root', 'nowhere']
runpy.run_path('tools/train.py', run_name='__main__')
"""


def test_training_a_detector_says_what_to_install(project_root):
    pytest.importorskip('mmdet')
    config = 'mssdf_vit-t-p16-faster-rcnn_4xb4-adamw-12e_dior.py'
    ran = subprocess.run(
        [sys.executable, '-c', SCRIPT.format(config=config)],
        cwd=project_root,
        env={**os.environ, 'PYTHONPATH': str(project_root)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2
    line = (ran.stdout + ran.stderr).strip().splitlines()[-1]
    assert config in line and 'detection: expected compiled ops of mmcv, found none' in line
    assert '--no-build-isolation' in line
    assert 'Traceback' not in ran.stdout + ran.stderr
