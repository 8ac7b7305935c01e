"""The quick start's closing lines."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def work_dir(tmp_path) -> Path:
    """A run of two starts, the second resumed, the last line torn by a kill."""
    images = tmp_path / 'panels'
    images.mkdir()
    (tmp_path / '20260101_000000/vis_data').mkdir(parents=True)
    (tmp_path / '20260102_000000/vis_data').mkdir(parents=True)
    for age, name in enumerate(('last.png', 'first.png')):
        (images / name).touch()
        os.utime(images / name, (1000 - age, 1000 - age))
    for name in ('epoch_1.pth', 'epoch_2.pth'):
        (tmp_path / name).touch()
    (tmp_path / 'last_checkpoint').write_text('/moved/from/elsewhere/epoch_2.pth')
    first = [{'knn/accuracy': 0.25, 'step': 0}, {'loss': 3.0, 'step': 10}]
    gain = {'knn/gain': 0.25, 'knn/gain_low': 0.125, 'knn/gain_high': 0.375}
    second = [{'knn/accuracy': 0.5, 'step': 20} | gain]
    for day, records, rest in ((1, first, ''), (2, second, '{"knn/accu')):
        path = tmp_path / f'2026010{day}_000000/vis_data/scalars.json'
        path.write_text('\n'.join([*map(json.dumps, records), rest]))
    return tmp_path


def summarize(project_root: Path, work_dir: Path) -> subprocess.CompletedProcess:
    tool = project_root / 'tools/analysis_tools/summarize_run.py'
    return subprocess.run(
        [sys.executable, str(tool), str(work_dir)], capture_output=True, text=True
    )


def test_summary_of_a_whole_run(project_root, work_dir):
    ran = summarize(project_root, work_dir)
    assert ran.returncode == 0, ran.stderr
    assert str(work_dir / 'epoch_2.pth') in ran.stdout
    assert 'last.png' in ran.stdout
    assert '0.2500 untrained' in ran.stdout
    assert '0.5000 after step 20' in ran.stdout
    assert '+0.2500 gained, 95 % interval +0.1250 to +0.3750' in ran.stdout


def test_what_is_missing_is_named(project_root, work_dir):
    (work_dir / '20260102_000000/vis_data/scalars.json').unlink()
    ran = summarize(project_root, work_dir)
    assert ran.returncode == 1
    assert 'knn/accuracy' in ran.stderr and 'found 1' in ran.stderr
    for path in work_dir.rglob('*.png'):
        path.unlink()
    ran = summarize(project_root, work_dir)
    assert ran.returncode == 1
    assert 'panels/*.png' in ran.stderr
