"""Damaged GeoTIFFs, and a process that reads them and may die of them."""

import json
import os
import selectors
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.shutil import copy as copy_raster
from rasterio.windows import Window

SIDE = 128
DAMAGE = ['flip', 'head', 'directory', 'cut', 'zero', 'noise', 'lose']

# Common layouts in which pixels of Autzen, all of them valid, are written.
LAYOUTS: dict[str, dict[str, Any]] = {
    'rgb-striped': dict(kind='rgb', blockysize=16),
    'rgb-striped-lzw': dict(kind='rgb', compress='lzw', predictor=2),
    'rgb-tiled-deflate': dict(kind='rgb', tiled=True, compress='deflate', predictor=2),
    'rgb-tiled-zstd': dict(kind='rgb', tiled=True, compress='zstd'),
    'rgb-jpeg': dict(kind='rgb', tiled=True, compress='jpeg', photometric='ycbcr'),
    'rgb-planes-deflate': dict(kind='rgb', interleave='band', compress='deflate'),
    'rgb-mask-deflate': dict(kind='rgb', tiled=True, compress='deflate', mask=True),
    'rgb-cog-zstd': dict(kind='rgb', driver='COG', compress='zstd'),
    'dsm-striped': dict(kind='dsm', blockysize=16),
    'dsm-striped-lzw': dict(kind='dsm', compress='lzw', predictor=3),
    'dsm-tiled-deflate': dict(kind='dsm', tiled=True, compress='deflate', predictor=3),
    'dsm-tiled-zstd': dict(kind='dsm', tiled=True, compress='zstd'),
    'dsm-bigtiff': dict(kind='dsm', tiled=True, compress='deflate', bigtiff='YES'),
    'dsm-float64': dict(kind='dsm', dtype='float64', compress='deflate'),
    'dsm-int16-scaled': dict(kind='dsm', dtype='int16', scale=0.01, compress='deflate'),
    'dsm-cog-deflate': dict(kind='dsm', driver='COG', compress='deflate'),
}


def write_layouts(patch: Path, folder: Path) -> dict[str, Path]:
    """Write one window of the pair in ``patch`` in every layout; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}

    for name, layout in LAYOUTS.items():
        layout = dict(layout)
        source = patch / f'autzen_{"dom" if layout.pop("kind") == "rgb" else "dsm"}.tif'
        driver, masked = layout.pop('driver', 'GTiff'), layout.pop('mask', False)
        scale, dtype = layout.pop('scale', None), layout.pop('dtype', None)
        window = Window(600, 500, SIDE, SIDE)

        with rasterio.open(source) as raster:
            pixels = raster.read(window=window)
            profile = dict(
                driver='GTiff',
                count=raster.count,
                width=SIDE,
                height=SIDE,
                crs=raster.crs,
                transform=raster.window_transform(window),
                nodata=raster.nodata,
            )

        if scale:
            pixels = np.rint((pixels - 100) / scale)
        pixels = pixels.astype(dtype or pixels.dtype)
        if layout.get('tiled'):
            layout.update(blockxsize=64, blockysize=64)

        # GDAL's COG driver only copies, so the pixels go into a plain file first.
        path = found[name] = folder / f'{name}.tif'
        first = path.with_suffix('.first.tif') if driver == 'COG' else path
        options = {} if driver == 'COG' else layout
        with rasterio.open(first, 'w', dtype=pixels.dtype, **profile, **options) as raster:
            raster.write(pixels)
            if scale:
                raster.scales, raster.offsets = (scale,), (100.0,)
            if masked:
                mask = np.full((SIDE, SIDE), 255, np.uint8)
                mask[:20, :30] = 0
                raster.write_mask(mask)

        if driver == 'COG':
            copy_raster(first, path, driver='COG', blocksize=128, overview_count=2, **layout)
            first.unlink()

    return found


def mutate(content: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Damage a file as disks, networks and interrupted copies do; return the kind of damage too."""
    data = np.frombuffer(content, np.uint8).copy()
    size = len(data)
    kind = rng.choice(DAMAGE)

    if kind == 'flip':  # bits anywhere
        places = rng.integers(size, size=int(rng.integers(1, 9)))
        data[places] ^= (1 << rng.integers(8, size=len(places))).astype(np.uint8)
    elif kind == 'head':  # bytes where GDAL puts the header and the tags' values
        places = rng.integers(min(size, 600), size=int(rng.integers(1, 5)))
        data[places] = rng.integers(256, size=len(places))
    elif kind == 'directory':  # bytes of one tag of the first directory
        big = content[2] == 43
        start = int.from_bytes(content[8:16] if big else content[4:8], 'little')
        entry, first = (20, 8) if big else (12, 2)
        count = int.from_bytes(content[start : start + first], 'little')
        tag = start + first + entry * int(rng.integers(max(1, count)))
        places = tag + rng.integers(entry, size=int(rng.integers(1, 3)))
        places = places[places < size]
        data[places] = rng.integers(256, size=len(places))
    elif kind == 'cut':
        data = data[: int(size * rng.random())]
    elif kind in ('zero', 'noise'):
        length = int(rng.integers(16, 4096))
        start = int(rng.integers(size))
        part = data[start : start + length]
        part[:] = 0 if kind == 'zero' else rng.integers(256, size=len(part))
    else:
        length = int(rng.integers(1, 2048))
        start = int(rng.integers(size))
        data = np.delete(data, np.s_[start : start + length])

    return data.tobytes(), str(kind)


def write_mutants(
    layouts: dict[str, Path], folder: Path, number: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Write damaged files, as jobs of :class:`Reader`: the same for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    names = list(layouts)
    good = {'rgb': layouts['rgb-tiled-deflate'], 'dsm': layouts['dsm-tiled-deflate']}
    for i in range(number):
        rng = np.random.default_rng([seed, i])
        name = names[i % len(names)]
        kind = name.partition('-')[0]
        content, how = mutate(layouts[name].read_bytes(), rng)
        path = folder / f'{i:05d}_{name}.tif'
        path.write_bytes(content)
        yield dict(
            path=str(path),
            kind=kind,
            layout=name,
            how=how,
            original=str(layouts[name]),
            good={m: str(p) for m, p in good.items()},
            reference=('rgb', 'dsm')[int(rng.integers(2))],
        )


class Reader:
    """A process that handles one file after another; its death or silence is an outcome too.

    Args:
        worker: path of the script that it runs.
        timeout: seconds allowed for one file.
    """

    def __init__(self, worker: Path, timeout: float) -> None:
        self.worker = worker
        self.timeout = timeout
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> 'Reader':
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """Run a job; return the worker's answer, or that it crashed or hung."""
        if self._process is None:
            self._start()
        assert self._process is not None
        process = self._process
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(job) + '\n')
            process.stdin.flush()
        except BrokenPipeError:
            pass  # the process has died, which shows in the answer
        answer = self._answer(self.timeout)
        if answer is None:
            self._end()
            return dict(outcome='hang', message=f'no answer in {self.timeout} s')
        if not answer:
            status = process.wait(30)
            self._end()
            return dict(outcome='crash', message=f'ended with {status}')
        return json.loads(answer)

    def _start(self) -> None:
        # The answers have a pipe of their own, as libraries print to the standard output.
        reading, writing = os.pipe()
        self._answers = os.fdopen(reading)
        self._process = subprocess.Popen(
            [sys.executable, str(self.worker), str(writing)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[writing],
            text=True,
            bufsize=1,
            env=dict(os.environ, OMP_NUM_THREADS='1', GDAL_CACHEMAX='64', CUDA_VISIBLE_DEVICES=''),
        )
        os.close(writing)
        if self._answer(300.0) != 'ready\n':
            raise RuntimeError(f'{self.worker} did not start')

    def _answer(self, seconds: float) -> str | None:
        """Read the next line; '' if the process has ended, None if time is up."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            return self._answers.readline() if selector.select(seconds) else None

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
            self._answers.close()


@dataclass
class Tally:
    """A table of outcomes by the kind of damage, and the jobs that need attention."""

    counts: dict[str, Counter] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)
    survivors: list[dict[str, Any]] = field(default_factory=list)
    slowest: float = 0.0
    peak_mib: float = 0.0

    GOOD = ('error', 'skip', 'same', 'differs')
    COLUMNS = (*GOOD, 'unclear', 'unnamed', 'non-finite', 'crash', 'hang')

    def add(self, job: dict[str, Any], result: dict[str, Any]) -> None:
        """Count a file."""
        outcome = result['outcome']
        self.counts.setdefault(job['how'], Counter())[outcome] += 1
        self.slowest = max(self.slowest, result.get('seconds', 0.0))
        self.peak_mib = max(self.peak_mib, result.get('grown_mib', 0.0))
        if outcome not in self.GOOD:
            self.bad.append(f'{outcome}: {Path(job["path"]).name} ({job["how"]}): {result}')
        if outcome in ('skip', 'same', 'differs'):
            self.survivors.append(job)

    def total(self, outcome: str) -> int:
        """Count the files with an outcome."""
        return sum(counter[outcome] for counter in self.counts.values())

    def table(self) -> str:
        """Format all counts as text."""
        rows = [('damage', *self.COLUMNS, 'files')]
        for how, counter in sorted(self.counts.items()):
            rows.append((how, *(str(counter[c]) for c in self.COLUMNS), str(counter.total())))
        everything = [self.total(column) for column in self.COLUMNS]
        rows.append(('all', *map(str, everything), str(sum(everything))))
        lines = [f'{row[0]:10s}' + ''.join(f'{cell:>11s}' for cell in row[1:]) for row in rows]
        lines.append(
            f'slowest file {self.slowest:.2f} s; memory grew by at most {self.peak_mib:.0f} MiB '
            f'on one file'
        )
        return '\n'.join(lines)
