"""Data of the tasks: laid out once, with lists of the labels that each seed may use."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mssdf.errors import FileError, MissingFileError, Words
from mssdf.evaluation.labeled_images import SUFFIXES
from mssdf.preparation.benchmarks.label_counts import count_all
from mssdf.preparation.benchmarks.splits import write_lists
from mssdf.preparation.benchmarks.stratified import order_by_class, order_by_pixels, take_share
from mssdf.preparation.examples import make_examples
from mssdf.utils.atomic_file import write_atomically
from mssdf.utils.folders import files_in, is_hidden

from .chips import lay_out_chips
from .fingerprint import fingerprint
from .scoring import IGNORED
from .tasks import Task

TEST_SHARE = 0.3  # share of the images of each class of scenes
EXAMPLES = dict(buildings='kampala-buildings', heights='autzen-ign-heights')
SOURCES = dict(buildings=('buildings_kampala',), heights=('autzen', 'ign_lidarhd'))
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
MASK_SUFFIX = '.png'


@dataclass(frozen=True)
class Prepared:
    """A task's data for one seed.

    Attributes:
        root: folder for ``--data-root``.
        options: settings for ``--cfg-options`` of training and testing.
        truths: path of the true mask or heights by the name of the test image; empty for scenes.
    """

    root: Path
    options: dict[str, Any]
    truths: dict[str, Path]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the names, sizes and times of the files under the root."""
        return fingerprint(self.root)


def prepare(task: Task, seed: int, source: Path, out: Path, given: Path | None = None) -> Prepared:
    """Lay out a task's data, unless that is done, and draw its labels.

    All encoders get the same labels for one seed; another seed draws others.

    Args:
        task: task to prepare.
        seed: seed of the draw of labels.
        source: folder of the imagery that ships.
        out: folder for data sets and lists.
        given: folder of data that replaces the imagery that ships; None takes the latter.

    Raises:
        FileNotFoundError: if data are missing.
        FileExistsError: if the content of ``out`` was made from other data.
        ValueError: if data are not as expected.
    """
    if given is not None and not given.is_dir():
        raise MissingFileError(f'--data {task.kind}', f'a folder at {given}')
    if task.kind == 'scenes':
        return _prepare_scenes(task, seed, given or source / 'eurosat_rgb', out)

    if given is None:
        root = _lay_out_example(task.kind, source, out)
    elif task.kind == 'buildings' and (given / 'labels.geojson').is_file():
        root = lay_out_chips(given, out / 'chips')
    else:
        root = given
    return _prepare_maps(task, seed, root, out)


def _lay_out_example(kind: str, source: Path, out: Path) -> Path:
    """Make an example of the imagery that ships, unless it exists and its files are unchanged."""
    name = EXAMPLES[kind]
    record, origin = out / f'.{name}.source', fingerprint(*(source / one for one in SOURCES[kind]))
    if record.exists() and record.read_text() != origin:
        raise FileExistsError(
            f'{out / name}: expected data made of {source} as its files are now, found data made '
            f'of other files; choose another --out'
        )

    (root,) = make_examples(source, out, [name])
    write_atomically(record, origin.encode())
    return root


def _prepare_maps(task: Task, seed: int, root: Path, out: Path) -> Prepared:
    """Prepare images with masks or heights of the same names in folders beside them."""
    images = root / 'img_dir'
    suffix = _suffix_of(images / 'train')
    if task.kind == 'buildings':
        folder, truth_suffix, key = 'ann_dir', MASK_SUFFIX, 'seg_map_suffix'
    else:
        folder = 'height_dir' if (root / 'height_dir').is_dir() else 'dsm_dir'
        truth_suffix, key = _suffix_of(root / folder / 'val'), 'depth_map_suffix'

    options: dict[str, Any] = {}
    for loader, split in zip(LOADERS, ('train', 'val', 'val'), strict=True):
        dataset = f'{loader}.dataset'
        options |= {f'{dataset}.img_suffix': suffix, f'{dataset}.{key}': truth_suffix}
        if task.kind == 'heights':
            options[f'{dataset}.data_prefix.depth_map_path'] = f'{folder}/{split}'

    tested = [path for path in files_in(images / 'val') if path.name.endswith(suffix)]
    truths = {path.stem: root / folder / 'val' / f'{path.stem}{truth_suffix}' for path in tested}
    missing = [path for path in truths.values() if not path.is_file()]
    if missing or not truths:
        raise FileNotFoundError(
            f'{missing[0] if missing else images / "val"}: expected an image in img_dir/val and '
            f'its truth in {folder}/val, found no such file'
        )
    if task.percent < 100:
        options['train_dataloader.dataset.ann_file'] = str(
            _draw(task, seed, out, lambda: _share_of_masks(task, seed, root))
        )
    return Prepared(root, options, truths)


def _share_of_masks(task: Task, seed: int, root: Path) -> list[str]:
    """Draw names of training images that have each class in about the wanted share."""
    paths = [path for path in files_in(root / 'ann_dir/train') if path.name.endswith(MASK_SUFFIX)]
    counts = count_all(paths, 0)
    counts[:, IGNORED] = 0
    number = max(round(task.percent / 100 * len(paths)), 1)
    return sorted(paths[index].stem for index in order_by_pixels(counts, seed)[:number])


def _prepare_scenes(task: Task, seed: int, root: Path, out: Path) -> Prepared:
    """Prepare images in folders by class, with the same test images for all seeds and shares."""
    images = {
        path.relative_to(root).as_posix(): path.parent.name
        for path in root.glob('*/*')
        if path.suffix.lower() in SUFFIXES and not is_hidden(path)
    }
    classes = sorted(set(images.values()))
    if len(classes) < 2:
        raise ValueError(f'{root}: expected images in folders by class, found classes {classes}')

    tested = set(take_share(order_by_class(images, 0), TEST_SHARE))
    rest = {path: name for path, name in images.items() if path not in tested}
    if set(rest.values()) != set(classes):
        raise FileError(root, 'at least two images of each class', Words('fewer'))

    def lines(paths: list[str]) -> list[str]:
        return [f'{path} {classes.index(images[path])}' for path in paths]

    chosen = take_share(order_by_class(rest, seed), task.percent / 100)
    train = _draw(task, seed, out, lambda: lines(chosen))
    lists = out / 'lists'
    write_lists(lists, dict(scenes_test=lines(sorted(tested))), dict(classes=classes))

    options: dict[str, Any] = {
        'model.head.num_classes': len(classes),
        'model.data_preprocessor.num_classes': len(classes),
        'train_dataloader.dataset.ann_file': str(train),
    }
    for loader in LOADERS:
        options[f'{loader}.dataset.metainfo.classes'] = tuple(classes)
    for loader in LOADERS[1:]:
        options[f'{loader}.dataset.ann_file'] = str((lists / 'scenes_test.txt').absolute())
    return Prepared(root, options, {})


def _draw(task: Task, seed: int, out: Path, draw: Callable[[], list[str]]) -> Path:
    """Write the list of a seed's labels; a different existing list is an error."""
    name = f'{task.name}_seed{seed}'
    record = dict(task=task.name, seed=seed, percent=task.percent)
    write_lists(out / 'lists', {name: draw()}, record)
    return (out / 'lists' / f'{name}.txt').absolute()


def _suffix_of(folder: Path) -> str:
    """Return the ending of a folder's images.

    Raises:
        FileNotFoundError: if there are no images.
        ValueError: if they have several endings.
    """
    found = {path.suffix for path in files_in(folder) if path.suffix.lower() in SUFFIXES}
    if not found:
        raise FileNotFoundError(f'{folder}: expected images {", ".join(SUFFIXES)}, found none')
    if len(found) > 1:
        raise ValueError(f'{folder}: expected one ending of all images, found {sorted(found)}')
    return found.pop()
