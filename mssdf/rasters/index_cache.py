"""Indexed scenes, kept in a file from one start to the next.

Finding the usable windows may mean decoding whole files. An entry is bound to the identity of its
rasters (:mod:`~mssdf.rasters.identity`) and to the settings.
"""

import base64
import hashlib
import json
import logging
import os
import tempfile
import time
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from mssdf.utils.allowances import ALLOW
from mssdf.utils.folders import Listing, list_folder

from .band_source import BandSource
from .grids import GridMap
from .identity import is_complete, raster_facts
from .indexed_scene import IndexedScene
from .raster_header import RasterHeader
from .scenes import ModalitySettings, SceneFiles
from .windows import ValidityMap, WindowOptions

# Goes into every key: raise it when what an entry holds, or how it is found, changes.
VERSION = 4

SAVE_SECONDS = 30.0


def scene_identity(scene: SceneFiles) -> str:
    """Make the name that an entry is filed under."""
    return json.dumps([scene.name, sorted((m, f.path, f.bands) for m, f in scene.files.items())])


def scene_key(
    scene: SceneFiles,
    modalities: Mapping[str, ModalitySettings],
    windows: WindowOptions,
    listing: Listing = list_folder,
) -> str | None:
    """Compute a digest of all that decides an entry; None if a file is missing or on a server.

    Args:
        scene: files of the scene.
        modalities: settings of the modalities.
        windows: options that decide which windows are kept.
        listing: function that lists a folder, for the files beside a raster.
    """
    facts: list[Any] = [VERSION, asdict(windows), os.environ.get(ALLOW, '')]
    for modality, file in scene.files.items():
        try:
            found = raster_facts(file.path, listing)
        except OSError:
            return None
        if not is_complete(found):
            return None
        facts.append([modality, file.bands, found, asdict(modalities[modality])])
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


class IndexCache:
    """A file of indexed scenes, in JSON; without a folder nothing is kept.

    Args:
        folder: folder of the file, made if it is missing; None keeps nothing.
        name: text that tells apart datasets and settings that share the folder.
    """

    def __init__(self, folder: str | None, name: str) -> None:
        self.path: Path | None = None
        self._entries: dict[str, dict[str, Any]] = {}
        self._saved = time.monotonic()
        self._changed = False
        if folder is None:
            return

        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        self.path = Path(folder, f'windows-{digest}.json')
        try:
            entries = json.loads(self.path.read_text(encoding='utf-8'))
            if not isinstance(entries, dict):
                raise ValueError(f'expected a mapping, found a {type(entries).__name__}')
            self._entries = entries
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            print_log(
                f'{self.path} cannot be read and is rebuilt: {error}',
                logger='current',
                level=logging.WARNING,
            )

    def get(self, identity: str, key: str) -> IndexedScene | None:
        """Look up a scene; None unless its files and the settings are those of the entry."""
        entry = self._entries.get(identity)
        try:
            return _decode_scene(entry) if entry is not None and entry['key'] == key else None
        except (AttributeError, KeyError, TypeError, ValueError, zlib.error):
            return None  # damaged or tampered with: the scene is indexed again

    def put(self, identity: str, key: str, scene: IndexedScene) -> None:
        """Keep a scene; the file is written every half minute."""
        self._entries[identity] = dict(key=key, **_encode_scene(scene))
        self._changed = True
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Write what is new, to a temporary name first; a folder that refuses is not fatal."""
        if self.path is None or not self._changed:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name)
            with os.fdopen(handle, 'w', encoding='utf-8') as stream:
                json.dump(self._entries, stream)
            os.replace(temporary, self.path)
        except OSError as error:
            print_log(
                f'the index of windows cannot be kept, it is made again at the next start: {error}',
                logger='current',
                level=logging.WARNING,
            )
            self.path = None
        self._saved, self._changed = time.monotonic(), False


def _encode_scene(scene: IndexedScene) -> dict[str, Any]:
    return dict(
        name=scene.name,
        reference=scene.reference,
        sources={m: {**asdict(s), 'header': s.header.to_dict()} for m, s in scene.sources.items()},
        grids={m: asdict(grid) for m, grid in scene.grids.items()},
        positions=_encode_array(scene.positions),
        dropped=scene.dropped,
        validity={
            m: dict(shares=_encode_array(v.shares), cell=v.cell, size=v.size)
            for m, v in scene.validity.items()
        },
        fills={m: list(found.items()) for m, found in scene.fills.items()},
    )


def _decode_scene(entry: Mapping[str, Any]) -> IndexedScene:
    sources = {}
    for modality, state in entry['sources'].items():
        header = RasterHeader.from_dict(state['header'])
        state = {k: tuple(v) if isinstance(v, list) else v for k, v in state.items()}
        sources[modality] = BandSource(**{**state, 'header': header})

    return IndexedScene(
        name=entry['name'],
        reference=entry['reference'],
        sources=sources,
        grids={
            m: GridMap(tuple(grid['scale']), tuple(grid['offset']))
            for m, grid in entry['grids'].items()
        },
        positions=_decode_array(entry['positions']),
        dropped=entry['dropped'],
        validity={
            m: ValidityMap(_decode_array(v['shares']), tuple(v['cell']), tuple(v['size']))
            for m, v in entry['validity'].items()
        },
        fills={m: {v: share for v, share in found} for m, found in entry['fills'].items()},
    )


def _encode_array(array: NDArray) -> dict[str, Any]:
    packed = base64.b85encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 6)).decode()
    return dict(dtype=str(array.dtype), shape=list(array.shape), data=packed)


def _decode_array(state: Mapping[str, Any]) -> NDArray:
    data = zlib.decompress(base64.b85decode(state['data']))
    return np.frombuffer(data, dtype=state['dtype']).reshape(state['shape']).copy()
