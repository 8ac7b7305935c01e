"""Choice of the checkpoint to resume from."""

import re
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.runner import CheckpointLoader

from mssdf.checkpoints.position_grid import stored_grid
from mssdf.checkpoints.safe_load import read_checkpoint, weights_of
from mssdf.checkpoints.sharded_checkpoint import REST, is_complete, is_sharded_checkpoint
from mssdf.checkpoints.training_state import check_resumable, read_rest, read_training_state
from mssdf.utils.allowances import ALLOW, allowed, lies_below
from mssdf.utils.atomic_file import put_back_replaced_folders

# Prefixes of a path in load_from that select our readers: of a training state, of weights alone.
SCHEME, WEIGHTS_SCHEME = 'mssdf-state:', 'mssdf-weights:'
# Files beside resumable checkpoints: without optimizer (best_*) or published (name-1a2b3c4d).
NOT_RESUMABLE = re.compile(r'^best_.*|.*-[0-9a-f]{8}$')


def is_readable(path: str | Path) -> bool:
    """Tell whether a checkpoint is complete: its directory of records exists and every CRC fits."""
    if Path(path).is_dir():
        return is_complete(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            return any(name.endswith('data.pkl') for name in names) and archive.testzip() is None
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError):
        return False


def _named_last(work_dir: Path) -> Path | None:
    """Return the path in ``last_checkpoint``; if moved with the run, the one in ``work_dir``."""
    try:
        text = (work_dir / 'last_checkpoint').read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    if not text:
        return None
    beside = work_dir / Path(text).name
    return beside if beside.exists() else Path(text)


def _may_be_followed(last: Path, work_dir: Path, folders: Sequence[str | Path] | None) -> bool:
    """Tell whether a checkpoint named by ``last_checkpoint`` may be opened from its folder."""
    return (
        folders is None
        or allowed('outside')
        or any(lies_below(str(last), str(folder)) for folder in (work_dir, *folders))
    )


def find_resumable_checkpoint(
    work_dir: str | Path, folders: Sequence[str | Path] | None = None
) -> str | None:
    """Find the newest readable checkpoint of a run.

    A damaged checkpoint (such as one cut off) and a missing one that ``last_checkpoint`` names are
    passed over, with one warning that names the files.

    Args:
        work_dir: work directory of the run.
        folders: further folders that ``last_checkpoint`` may point into; None allows any folder.

    Returns:
        Path of the checkpoint; None if there is none.
    """
    work_dir = Path(work_dir)
    put_back_replaced_folders(work_dir)

    last = _named_last(work_dir)
    candidates = {
        path: path.stat().st_mtime_ns
        for path in work_dir.glob('*.pth')
        if (path.is_file() or is_sharded_checkpoint(path)) and not NOT_RESUMABLE.match(path.stem)
    }

    passed_over = []
    if last is not None:
        if not _may_be_followed(last, work_dir, folders):
            passed_over.append(f'{last} (outside of {work_dir}; {ALLOW}=outside follows it)')
        elif last.exists():
            candidates[last] = last.stat().st_mtime_ns
        else:
            passed_over.append(f'{last} (missing)')

    found = None
    for path in sorted(candidates, key=lambda path: (candidates[path], path == last), reverse=True):
        if is_readable(path):
            found = str(path)
            break
        passed_over.append(f'{path} (damaged)')

    if passed_over:
        instead = f'going on from {found}' if found else 'no other checkpoint is there'
        warnings.warn(
            f'cannot resume from {", ".join(passed_over)}: {instead}', RuntimeWarning, stacklevel=2
        )

    return found


def read_meta(path: str | Path) -> dict[str, Any]:
    """Read ``meta`` from one of this run's own checkpoints without reading its tensors."""
    return _read_rest(path).get('meta', {})


def read_resumable_meta(path: str | Path) -> dict[str, Any]:
    """Read ``meta`` from a checkpoint that a run resumes from.

    Raises:
        CheckpointError: if it cannot be read or lacks what a run needs to resume.
    """
    content = _read_rest(path)
    check_resumable(content, path)
    return content['meta']


def _read_rest(path: str | Path) -> dict[str, Any]:
    return read_rest(Path(path) / REST if Path(path).is_dir() else path)


@CheckpointLoader.register_scheme(prefixes=SCHEME)
def load_training_state(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Read a checkpoint of training, sharded or not, for MMEngine's runner; run no code.

    Args:
        filename: path of the checkpoint, prefixed with :data:`SCHEME`.
        map_location: ignored, as the checkpoint is read to the CPU.
    """
    return read_training_state(filename.removeprefix(SCHEME))


@CheckpointLoader.register_scheme(prefixes=WEIGHTS_SCHEME)
def load_weights(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Read the weights of any library's checkpoint for MMEngine's ``load_from``; run no code.

    Args:
        filename: path of the checkpoint, prefixed with :data:`WEIGHTS_SCHEME`.
        map_location: ignored, as the weights are read to the CPU.
    """
    path = filename.removeprefix(WEIGHTS_SCHEME)
    content = read_checkpoint(path)
    return dict(state_dict=weights_of(content, path), meta=dict(grid=stored_grid(content)))
