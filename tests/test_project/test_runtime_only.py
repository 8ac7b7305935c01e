"""Pre-training with the runtime requirements alone: no mmseg, no mmdet, no compiled ops.

``scripts/run_tests.sh`` makes such an environment and names its interpreter in
``MSSDF_RUNTIME_PYTHON``. Without it, the same script runs here with those packages hidden.
"""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / 'runtime_only_step.py'


def test_import_and_step(project_root):
    python = os.environ.get('MSSDF_RUNTIME_PYTHON')
    hide = [] if python else ['--hide']
    config = project_root / 'configs/pretrain/mssdf_vit-t-p16_quick-start.py'
    ran = subprocess.run(
        [python or sys.executable, str(SCRIPT), str(config), *hide],
        cwd=project_root,
        env={**os.environ, 'PYTHONPATH': str(project_root)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-3000:]
    assert ran.stdout.splitlines()[-1].startswith('step done')
