"""DOTA cut into tiles by mmrotate's splitter, each part completely or not at all."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mssdf.datasets.annotations.dota import check_raw
from mssdf.errors import MissingFileError
from mssdf.utils.atomic_file import write_atomically
from mssdf.utils.folders import files_in
from mssdf.utils.progress import track

ENDINGS = ('.jpg', '.JPG', '.png', '.tif', '.bmp')  # endings that the splitter takes
RECORD = 'split_dota.json'


@dataclass(frozen=True)
class Tiling:
    """Settings of the cutting.

    Attributes:
        size, overlap: side and overlap of the tiles in pixels.
        workers: number of processes.
    """

    size: int
    overlap: int
    workers: int


def find_splitter() -> Path:
    """Find mmrotate's splitter.

    Raises:
        FileNotFoundError: if mmrotate is not installed, or has no such script.
    """
    spec = importlib.util.find_spec('mmrotate')
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            'mmrotate: expected the package, found none: pip install "mssdf[detection]"'
        )
    script = Path(spec.origin).parent / '.mim/tools/data/dota/split/img_split.py'
    if not script.is_file():
        raise FileNotFoundError(f'{script}: expected the splitter of mmrotate, found none')
    return script


def split_part(images: Path, boxes: Path | None, target: Path, tiling: Tiling) -> str:
    """Cut the images of a folder, unless that was done; report the result.

    Args:
        images: folder of the images.
        boxes: folder of their text files; None for images without.
        target: folder to write.
        tiling: settings of the cutting.

    Returns:
        Report in one line.

    Raises:
        FileNotFoundError: if images or boxes are missing.
        FileExistsError: if ``target`` has other content.
        ValueError: if it was cut with other settings before, tiles have been removed since, or the
            splitter cannot read a line of boxes.
        RuntimeError: if the splitter fails, or leaves an image without tiles.
    """
    if target.exists():
        return f'done before: {_check_done(target, tiling)}'

    names = sorted(path.stem for path in files_in(images) if path.suffix in ENDINGS)
    if not names:
        raise FileNotFoundError(f'{images}: expected images, found none')
    if boxes is not None:
        for name in names:  # to the splitter, an image without this file is empty
            if not (boxes / f'{name}.txt').is_file():
                raise MissingFileError(f'{boxes / name}.txt', f'a file to go with {name}')
        check_raw([boxes / f'{name}.txt' for name in names])

    # The splitter writes beside the target; only a complete part takes its place.
    partial = target.with_name(f'.{target.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(find_splitter()), '--img-dirs', str(images)]
    if boxes is not None:
        command += ['--ann-dirs', str(boxes)]
    command += ['--sizes', str(tiling.size), '--gaps', str(tiling.overlap)]
    command += ['--nproc', str(tiling.workers), '--save-dir', str(partial)]

    for _ in track(_run(command, target.name), len(names), target.name):
        pass
    count = _count(partial)
    lacking = set(names) - {path.name.split('__')[0] for path in (partial / 'images').iterdir()}
    if lacking or count != len(list((partial / 'annfiles').iterdir())):
        raise RuntimeError(
            f'{partial}: expected tiles of every image and as many files of boxes, found none of '
            f'{sorted(lacking)[:5]}, {count} tiles'
        )

    counts = dict(size=tiling.size, overlap=tiling.overlap, images=len(names), tiles=count)
    write_atomically(partial / RECORD, json.dumps(counts).encode())
    partial.rename(target)

    return f'{len(names)} images, {count} tiles'


def _check_done(target: Path, tiling: Tiling) -> str:
    record = target / RECORD
    if not record.is_file():
        raise FileExistsError(
            f'{target}: expected nothing there, or tiles of this tool ({RECORD}), found neither'
        )
    before = json.loads(record.read_text())
    if (before['size'], before['overlap']) != (tiling.size, tiling.overlap):
        raise ValueError(
            f'{target}: expected the size {before["size"]} and the overlap '
            f'{before["overlap"]} that it was cut with, found {tiling.size} and '
            f'{tiling.overlap}; for others choose another folder'
        )
    count = _count(target)
    if count != before['tiles']:
        raise ValueError(
            f'{target}: expected {before["tiles"]} tiles, found {count}; remove the folder to cut '
            'it again'
        )
    return f'{before["images"]} images, {count} tiles'


def _count(target: Path) -> int:
    return sum(1 for _ in (target / 'images').iterdir())


def _run(command: list[str], part: str) -> Iterator[None]:
    """Run the splitter; yield whenever an image is finished."""
    last = deque[str](maxlen=20)
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors='replace',
        start_new_session=True,  # its workers get the signal as well
    )

    try:
        assert process.stderr is not None
        for line in process.stderr:
            last.append(line)
            if 'Filename: ' in line:
                yield
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        raise
    finally:
        process.wait()

    if process.returncode:
        said = ' '.join(''.join(last).split())
        raise RuntimeError(
            f'{part}: expected a splitter that ends with 0, found {process.returncode}: {said}'
        )
