"""Fifty SIGKILLs at random moments of tiny runs; in the end each is what it would have been."""

import random
import signal
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'engine'))
from test_kill import (  # noqa: E402
    Runs,
    config_path,
    context,
    differences,
    reference,
    trained_state,
)

__all__ = ['config_path', 'context', 'reference']
KILLS = 50


def newest(work_dir: Path) -> int:
    """Iterations of the newest whole checkpoint."""
    found = [int(path.stem[5:]) for path in work_dir.glob('iter_*.pth')]
    return max(found, default=0)


def test_fifty_kills(context, config_path, reference, tmp_path, long_out):  # noqa: F811
    """Moments are drawn over the whole time of a run, imports and checkpoints included."""
    rng = random.Random(0)
    runs = Runs(context, config_path, tmp_path / 'timed')
    began = time.monotonic()
    assert runs.run() == 0, runs.output()
    whole = time.monotonic() - began
    kills = ended = torn = 0
    progress = []
    runs = Runs(context, config_path, tmp_path / 'run0')
    while kills < KILLS:
        process = runs.start()
        process.join(rng.uniform(0, whole))
        before = newest(runs.work_dir)
        if process.exitcode is None:
            process.kill()
            process.join()
        if process.exitcode == -signal.SIGKILL:
            kills += 1
            torn += bool(list(runs.work_dir.glob('.*.mssdf-partial')))
            progress.append(newest(runs.work_dir))
            assert newest(runs.work_dir) >= before  # nothing is lost
            for path in runs.work_dir.glob('iter_*.pth'):  # whatever has a name is whole
                assert torch.load(path, weights_only=False)['meta']['iter'] == int(path.stem[5:])
            continue
        assert process.exitcode == 0, runs.output()
        assert differences(reference, trained_state(runs.work_dir)) == []
        ended += 1
        runs = Runs(context, config_path, tmp_path / f'run{ended}')
    assert runs.run() == 0, runs.output()
    assert differences(reference, trained_state(runs.work_dir)) == []
    table = (
        f'{kills} kills in {ended + 1} runs, all of which ended bit-identical; {torn} left a half '
        f'written checkpoint; checkpoints found after the kills: {sorted(set(progress))}'
    )
    print(table)
    (long_out / 'kills.txt').write_text(table + '\n')
