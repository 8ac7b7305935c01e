"""Nine in ten of the listed mutations are noticed."""

import subprocess
import sys
from pathlib import Path


def test_mutations_are_killed(project_root: Path, long_out: Path):
    runner = project_root / 'tests/mutations/run.py'
    done = subprocess.run(
        [sys.executable, str(runner)], cwd=project_root, capture_output=True, text=True, check=False
    )
    (long_out / 'mutations.txt').write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
