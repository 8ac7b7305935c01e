"""Damaged GeoTIFFs end in a clear error, in a named skip, or are read; nothing dies of them."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import rasterio
from raster_fuzzer import DAMAGE, LAYOUTS, SIDE, Reader, Tally, mutate, write_layouts, write_mutants

HELPERS = Path(__file__).resolve().parents[1] / 'helpers'
FILES = 208  # 13 of each layout


@pytest.fixture(scope='module')
def layouts(data_root, tmp_path_factory) -> dict[str, Path]:
    return write_layouts(data_root / 'autzen/patch', tmp_path_factory.mktemp('layouts'))


def fuzz(layouts: dict[str, Path], folder: Path, files: int, seed: int, seconds: float) -> Tally:
    """Read damaged files, train on those that can be opened, and look at what came of it."""
    tally = Tally()
    with Reader(HELPERS / 'fuzz_worker.py', timeout=seconds) as reader:
        for job in write_mutants(layouts, folder / 'damaged', files, seed):
            tally.add(job, reader.run(job))
    print(f'\n{tally.table()}')
    assert not tally.bad, '\n'.join(tally.bad)
    assert sum(map(tally.total, tally.GOOD)) == files
    # The damage is real, some of it cannot be seen, and no file may cost the machine its memory.
    assert tally.total('skip') > files / 4 and tally.total('error') and tally.total('differs')
    assert tally.peak_mib < 1024

    jobs = folder / 'jobs.json'
    jobs.write_text(json.dumps(tally.survivors))
    trained = subprocess.run(
        [sys.executable, str(HELPERS / 'fuzz_train.py'), str(jobs), str(folder / 'run')],
        capture_output=True,
        text=True,
        timeout=60 + 2 * files,
        env=dict(os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES=''),
    )
    assert trained.returncode == 0, trained.stderr[-3000:]
    result = json.loads(trained.stdout.splitlines()[-1])
    print({key: value for key, value in result.items() if key != 'losses'})
    assert result['non_finite'] == []
    assert result['iterations'] == len(result['losses']) >= tally.total('differs') / 2
    assert np.isfinite(result['losses']).all()
    # What could not be opened is left out, what cannot be read is drawn again: all of it counted.
    assert 0 < result['failed_files'] <= tally.total('skip')
    return tally


def test_damaged_files(layouts, tmp_path):
    tally = fuzz(layouts, tmp_path, FILES, seed=0, seconds=60.0)
    assert tally.bad == []
    assert sum(counter.total() for counter in tally.counts.values()) == FILES
    assert set(tally.counts) == set(DAMAGE)
    damaged = [path.stem.partition('_')[2] for path in (tmp_path / 'damaged').iterdir()]
    assert Counter(damaged) == dict.fromkeys(layouts, FILES // len(layouts))


def test_layouts_are_what_they_say(layouts, data_root):
    assert set(layouts) == set(LAYOUTS)
    found = {}
    for name, path in layouts.items():
        with rasterio.open(path) as raster:
            assert raster.shape == (SIDE, SIDE)
            found[name] = (
                raster.dtypes[0],
                raster.profile.get('compress'),
                raster.profile['tiled'],
            )
            assert len(raster.overviews(1)) == (2 if 'cog' in name else 0)
    assert found['rgb-jpeg'] == ('uint8', 'jpeg', True)
    assert found['dsm-tiled-zstd'] == ('float32', 'zstd', True)
    assert found['dsm-striped'] == ('float32', None, False)
    assert found['dsm-float64'][0] == 'float64' and found['dsm-int16-scaled'][0] == 'int16'


def test_the_same_seed_damages_alike(layouts):
    content = layouts['rgb-tiled-deflate'].read_bytes()
    made = [
        [mutate(content, np.random.default_rng([s, i]))[0] for i in range(20)] for s in (1, 1, 2)
    ]
    assert made[0] == made[1] != made[2]
    assert all(one != content for one in made[0])


@pytest.mark.parametrize(
    ('code', 'outcome'),
    [
        ('import os, signal; os.kill(os.getpid(), signal.SIGSEGV)', 'crash'),
        ('import time; time.sleep(60)', 'hang'),
    ],
)
def test_a_crash_and_a_hang_are_seen(tmp_path, code, outcome):
    """And the next file is read by a new process."""
    worker = tmp_path / 'worker.py'
    worker.write_text(
        'import json, os, sys\n'
        'answers = os.fdopen(int(sys.argv[1]), "w", buffering=1)\n'
        'answers.write("ready\\n")\n'
        'for line in sys.stdin:\n'
        f'    if json.loads(line)["path"] == "bad":\n        {code}\n'
        '    answers.write(json.dumps(dict(outcome="same")) + "\\n")\n'
    )
    with Reader(worker, timeout=2.0) as reader:
        found = [reader.run(dict(path=path))['outcome'] for path in ('a', 'bad', 'b', 'c')]
    assert found == ['same', outcome, 'same', 'same']
