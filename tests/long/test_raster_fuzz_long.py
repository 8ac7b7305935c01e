"""Ten times the damaged GeoTIFFs of tests/rasters/test_raster_fuzz.py, with another seed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'rasters'))

from raster_fuzzer import write_layouts
from test_raster_fuzz import fuzz

FILES = 2000


def test_two_thousand_damaged_files(data_root: Path, tmp_path: Path, long_out: Path) -> None:
    layouts = write_layouts(data_root / 'autzen/patch', tmp_path / 'layouts')
    tally = fuzz(layouts, tmp_path, FILES, seed=1, seconds=60.0)
    assert tally.bad == []
    assert sum(counter.total() for counter in tally.counts.values()) == FILES
    (long_out / 'fuzz.txt').write_text(tally.table() + '\n')
