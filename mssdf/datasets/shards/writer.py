"""Writing shards, each a file of many windows, whole or not at all."""

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .backend import require_litdata
from .sample_format import BrokenSampleError, encode_sample
from .shard_info import ModalityInfo, ShardInfo

PREFIX, SUFFIX = '.', '.shard-partial'

# LitData asks for a bound on a file's samples; ours is the iterable's end.
NO_BOUND = 2**31 - 1

# Its offsets within a file are 32-bit.
MAX_BYTES = 2**32 - 2**20


def write_shard(path: str | os.PathLike, samples: Iterable[Mapping[str, Any]]) -> ShardInfo:
    """Write one chunk file of LitData's format: all windows of one cell of imagery, say.

    Args:
        path: the file, by habit ``NAME.bin``. 16 to 64 windows, 10 to 50 MB, are a good size.
        samples: windows, see :func:`~mssdf.datasets.shards.encode_sample`. All must have the same
            size, and a modality the same bands and type wherever it is there.

    Returns:
        What :func:`write_index` needs.

    Raises:
        ImportError: when LitData is not installed.
        ValueError: when there is no sample, or one does not fit. No file is left then.
    """
    require_litdata()
    from litdata.streaming.writer import BinaryWriter

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.with_name(f'{PREFIX}{path.name}.{os.getpid()}{SUFFIX}')
    shutil.rmtree(folder, ignore_errors=True)
    try:
        writer = BinaryWriter(str(folder), chunk_size=NO_BOUND)
        summary = _Summary(path)
        for number, sample in enumerate(samples):
            data = encode_sample(sample)
            summary.add(sample, len(data))
            writer.add_item(number, data)
        if not summary.samples:
            raise ValueError(f'{path}: expected at least one sample, found none')
        writer.done()
        (written,) = folder.glob('*.bin')
        config = dict(writer.get_config(), chunk_size=None)
        info = ShardInfo(
            file=path.name,
            bytes=written.stat().st_size,
            samples=summary.samples,
            window=summary.window,
            modalities=summary.modalities,
            config=config,
            sha256=_digest(written),
        )
        with open(written, 'rb') as file:
            os.fsync(file.fileno())
        os.replace(written, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return info


def verify_shard(path: str | os.PathLike, info: ShardInfo) -> None:
    """Compare a shard with what was written.

    Raises:
        BrokenSampleError: when it is missing or any byte differs.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        digest = _digest(path) if size == info.bytes else ''
    except OSError as error:
        raise BrokenSampleError(f'{path}: expected a shard, found {error}') from error
    if size != info.bytes:
        raise BrokenSampleError(f'{path}: expected {info.bytes} bytes, found {size}')
    if digest != info.sha256:
        raise BrokenSampleError(f'{path}: expected SHA-256 {info.sha256}, found {digest}')


def remove_partial_shards(folder: str | os.PathLike) -> list[Path]:
    """Remove what killed processes left half written in a folder; return their paths."""
    found = sorted(Path(folder).glob(f'{PREFIX}*{SUFFIX}'))
    for path in found:
        shutil.rmtree(path, ignore_errors=True)
    return found


class _Summary:
    """Size, bands and types of a shard's windows, which must agree."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.samples = 0
        self.bytes = 0
        self.window = (0, 0)
        self.modalities: dict[str, ModalityInfo] = {}

    def add(self, sample: Mapping[str, Any], size: int) -> None:
        where = f'{self.path}: {sample["scene"]} {tuple(sample["window"])}'
        window = (int(sample['window'][2]), int(sample['window'][3]))
        self.samples += 1
        self.bytes += size + 8
        if self.bytes > MAX_BYTES:
            raise ValueError(f'{where}: expected at most {MAX_BYTES} bytes in a shard, found more')
        if self.samples > 1 and window != self.window:
            raise ValueError(f'{where}: expected windows of {self.window}, found {window}')
        self.window = window
        for modality, image in sample['images'].items():
            bands, dtype = len(image), image.dtype.name
            known = self.modalities.get(modality, ModalityInfo(bands, dtype, 0))
            if (known.bands, known.dtype) != (bands, dtype):
                raise ValueError(
                    f'{where} {modality}: expected {known.bands} band(s) of {known.dtype} as '
                    f'before, found {bands} of {dtype}'
                )
            self.modalities[modality] = ModalityInfo(bands, dtype, known.samples + 1)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
