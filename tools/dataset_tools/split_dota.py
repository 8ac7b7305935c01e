"""Cut DOTA's images into tiles with mmrotate's splitter, one part after the other."""

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

EPILOG = """\
expected layout:
  ROOT/{train,val}/images/P0000.png, ROOT/{train,val}/labelTxt/P0000.txt
  ROOT/test/images/...                                           its boxes are not public

writes, per part:
  OUT/{train,val,test}/images/P0000__1024__0___0.png
  OUT/{train,val}/annfiles/P0000__1024__0___0.txt                boxes in the tile's pixels

A part that is there whole is not done again; one that was interrupted is done anew.

example:
  python tools/dataset_tools/split_dota.py DOTA --out data/dota
"""
PARTS = ('train', 'val', 'test')


def find_splitter() -> Path:
    """Mmrotate's script.

    Raises:
        FileNotFoundError: if mmrotate is not installed, or has no such script.
    """
    spec = importlib.util.find_spec('mmrotate')
    if spec is None or spec.origin is None:
        raise FileNotFoundError('mmrotate is not installed: pip install "mssdf[detection]"')
    script = Path(spec.origin).parent / '.mim/tools/data/dota/split/img_split.py'
    if not script.is_file():
        raise FileNotFoundError(f'{script}: expected the splitter of mmrotate, found none')
    return script


def split(root: Path, out: Path, part: str, args: argparse.Namespace) -> str:
    """Cut one part.

    Raises:
        FileNotFoundError: if it lacks its folders.
        RuntimeError: if the splitter fails, or leaves an image without tiles.
    """
    images, boxes = root / part / 'images', root / part / 'labelTxt'
    if not images.is_dir():
        return 'not there'
    if part != 'test' and not boxes.is_dir():
        raise FileNotFoundError(f'{boxes}: no such folder')
    target, done = out / part, out / f'.{part}.done'
    if done.exists():
        return 'done before'
    command = [sys.executable, str(find_splitter()), '--img-dirs', str(images)]
    if part != 'test':
        command += ['--ann-dirs', str(boxes)]
    command += ['--sizes', str(args.size), '--gaps', str(args.overlap)]
    command += ['--nproc', str(args.workers), '--save-dir', str(target)]
    if target.exists():
        raise FileExistsError(
            f'{target}: expected nothing there, or a part that was finished; remove it to start '
            'anew (the splitter was interrupted, or another one has been at work)'
        )
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode:
        raise RuntimeError(f'{part}: the splitter failed:\n{finished.stderr[-2000:]}')
    names = {path.stem for path in images.iterdir() if path.suffix in ('.png', '.jpg', '.tif')}
    tiles = [path.stem for path in (target / 'images').iterdir()]
    lacking = sorted(names - {tile.split('__')[0] for tile in tiles})
    if lacking and part == 'test':
        raise RuntimeError(f'{part}: expected tiles of every image, found none of {lacking[:5]}')
    done.touch()
    return f'{len(names)} images, {len(tiles)} tiles'


def main(arguments: list[str] | None = None) -> int:
    """Cut all parts; 2 for a wrong input."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('root', type=Path)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--size', type=int, default=1024, help='of a tile, in pixels (1024)')
    parser.add_argument('--overlap', type=int, default=200, help='of tiles, in pixels (200)')
    parser.add_argument('--workers', type=int, default=2)
    args = parser.parse_args(arguments)
    try:
        if not any((args.root / part / 'images').is_dir() for part in PARTS):
            raise FileNotFoundError(
                f'{args.root}: expected {"/images, ".join(PARTS)}/images, found none'
            )
        for part in PARTS:
            print(f'{part:>6}: {split(args.root, args.out, part, args)}', flush=True)
    except (OSError, ValueError, RuntimeError) as error:
        print(f'{Path(__file__).name}: {error}')
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
