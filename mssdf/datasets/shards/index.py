"""The two index files of a folder of shards: LitData's and ours."""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mssdf.errors import FileError, Words
from mssdf.utils.atomic_file import write_atomically

from .sample_format import DTYPES
from .shard_info import ShardInfo

LITDATA_INDEX = 'index.json'
INDEX = 'mssdf_shards.json'
VERSION = 1
# No folder, no drive, nothing hidden.
PLAIN_NAME = re.compile(r'[^./\\:][^/\\:]*')


@dataclass(frozen=True)
class ShardIndex:
    """The content of ``mssdf_shards.json``.

    Attributes:
        window: height and width of every window, in pixels.
        bands: modality to number of bands.
        dtypes: modality to type.
        files: names of the shards, in order.
        samples: number of windows of each.
        sizes: bytes of each.
    """

    window: tuple[int, int]
    bands: dict[str, int]
    dtypes: dict[str, str]
    files: tuple[str, ...]
    samples: tuple[int, ...]
    sizes: tuple[int, ...]

    @classmethod
    def parse(cls, text: str | bytes, where: str) -> 'ShardIndex':
        """Parse the text of the file.

        Raises:
            ValueError: when it is no such file, or of another version.
        """
        try:
            content = json.loads(text)
            version = content['version']
            if version != VERSION:
                raise ValueError(f'expected version {VERSION}, found {version!r}')

            shards = content['shards']
            for shard in shards:
                _check_name(shard['file'])
                if int(shard['samples']) < 1 or int(shard['bytes']) < 1:
                    raise ValueError(f'expected windows in each shard, found {shard}')
            height, width = content['window']
            return cls(
                window=(int(height), int(width)),
                bands={m: int(entry['bands']) for m, entry in content['modalities'].items()},
                dtypes={m: str(entry['dtype']) for m, entry in content['modalities'].items()},
                files=tuple(str(shard['file']) for shard in shards),
                samples=tuple(int(shard['samples']) for shard in shards),
                sizes=tuple(int(shard['bytes']) for shard in shards),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f'{where}: expected an index of shards, found {error!r}') from error


def _check_name(file: object) -> None:
    if not isinstance(file, str) or not PLAIN_NAME.fullmatch(file):
        raise ValueError(f'expected shards beside the index, found {file!r}')


def write_index(
    folder: str | os.PathLike,
    infos: Sequence[ShardInfo],
    *,
    modalities: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write ``index.json``, which LitData reads, and ``mssdf_shards.json``, each atomically.

    Args:
        folder: folder of the shards.
        infos: descriptions of the shards; their order decides that of the samples.
        modalities: name to ``dict(bands=number, dtype=name)`` and whatever else shall be kept.
            One that no shard has is allowed.

    Raises:
        ValueError: when shards do not fit each other or the modalities, or one is not there.
    """
    folder = Path(folder)
    _check(folder, infos, modalities)

    chunks = [
        dict(chunk_bytes=info.bytes, chunk_size=info.samples, dim=None, filename=info.file)
        for info in infos
    ]
    ours = dict(
        version=VERSION,
        window=list(infos[0].window),
        samples=sum(info.samples for info in infos),
        bytes=sum(info.bytes for info in infos),
        modalities={
            m: dict(entry, samples=sum(i.modalities[m].samples for i in infos if m in i.modalities))
            for m, entry in modalities.items()
        },
        shards=[
            dict(file=i.file, samples=i.samples, bytes=i.bytes, sha256=i.sha256) for i in infos
        ],
    )

    # LitData keeps a cached copy of object storage apart by this mark, which therefore changes with
    # the content and with nothing else.
    theirs = dict(chunks=chunks, config=infos[0].config, updated_at=_mark(infos))
    write_atomically(folder / INDEX, json.dumps(ours, indent=1).encode())
    write_atomically(folder / LITDATA_INDEX, json.dumps(theirs, sort_keys=True).encode())


def _check(
    folder: Path, infos: Sequence[ShardInfo], modalities: Mapping[str, Mapping[str, Any]]
) -> None:
    if not infos:
        raise ValueError(f'{folder}: expected at least one shard, found none')
    for name, entry in modalities.items():
        bands, dtype = entry.get('bands'), entry.get('dtype')
        if not isinstance(bands, int) or bands < 1 or dtype not in DTYPES:
            raise ValueError(
                f'modalities.{name}: expected dict(bands=number, dtype=one of {DTYPES}), found '
                f'{dict(entry)}'
            )

    seen: set[str] = set()
    first = infos[0]
    for info in infos:
        path = folder / info.file
        if info.file in seen or Path(info.file).name != info.file:
            raise FileError(
                path,
                'a shard of another name than the others in its folder',
                Words(repr(info.file)),
            )
        seen.add(info.file)
        size = path.stat().st_size if path.is_file() else None
        if size != info.bytes:
            size_found = None if size is None else Words(f'{size} bytes')
            raise FileError(path, f'a shard of {info.bytes} bytes', size_found)

        # one index describes the encoding, the size and the modalities of all shards
        if (info.config, info.window) != (first.config, first.window):
            raise ValueError(
                f'{path}: expected windows of {first.window} encoded as in {first.file}, found '
                f'{info.window}, {info.config}'
            )
        for name, found in info.modalities.items():
            if name not in modalities:
                raise ValueError(f'{path}: expected {list(modalities)}, found modality {name!r}')
            expected = (modalities[name]['bands'], modalities[name]['dtype'])
            if (found.bands, found.dtype) != expected:
                raise ValueError(
                    f'{path}: expected {expected[0]} band(s) of {expected[1]} in modality '
                    f'{name!r}, found {found.bands} of {found.dtype}'
                )


def _mark(infos: Sequence[ShardInfo]) -> str:
    return hashlib.sha256(''.join(info.sha256 for info in infos).encode()).hexdigest()[:16]
