"""Data, runs and table of the fine-tuning benchmark."""

import csv
import importlib.util
import json
import os
import shutil
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image
from rasterio.features import rasterize
from scipy import stats

from mssdf.cli.folder_lock import lock_folder
from mssdf.contest.finetuning import (
    DEFAULT_TASKS,
    Prepared,
    Result,
    Run,
    RunFailedError,
    compare,
    load_results,
    parse_task,
    prepare,
    run_all,
    to_csv,
    to_markdown,
)
from mssdf.contest.finetuning.chips import lay_out_chips, split_by_ground
from mssdf.contest.finetuning.runs import execute
from mssdf.contest.finetuning.scoring import image_sums
from mssdf.contest.finetuning.tasks import KINDS
from mssdf.evaluation.frozen.buildings import Chip
from mssdf.evaluation.frozen.scores import rmse
from mssdf.preparation.examples import make_examples
from mssdf.preparation.examples.apart import building_mask
from mssdf.preparation.examples.buildings import AREAS, CHIP, read_mosaic, read_outlines

PATH = Path(__file__).resolve().parents[2] / 'tools/benchmarks/benchmark_finetuning.py'
spec = importlib.util.spec_from_file_location('benchmark_finetuning', PATH)
benchmark = importlib.util.module_from_spec(spec)
spec.loader.exec_module(benchmark)


# data


def boxes(folder: Path, split: str) -> list[tuple[str, int, int, int]]:
    """Raster, left, top and size of each window, from its name and its image."""
    found = []
    for path in sorted((folder / 'img_dir' / split).iterdir()):
        scene, left, top = path.stem.split('_')
        with rasterio.open(path) as image:
            assert image.width == image.height
            found.append((scene, int(left), int(top), image.width))
    return found


def distance(one: tuple[int, int, int], other: tuple[int, int, int]) -> int:
    """Pixels between two squares (left, top, size): the larger of those along both axes."""
    gaps = [max(a - b - other[2], b - a - one[2]) for a, b in zip(one, other[:2], strict=False)]
    return max(gaps[:2])


@pytest.mark.parametrize('name', ['kampala-buildings', 'autzen-ign-heights'])
def test_test_windows_lie_apart_from_the_training_ground(name, data_root, tmp_path):
    (root,) = make_examples(data_root, tmp_path, [name])
    corner = {area: (x * CHIP, y * CHIP) for area, (x, y, *_) in AREAS.items()}

    def places(split: str) -> list[tuple[str, tuple[int, int, int]]]:
        # Kampala's two areas lie on one map, the other scenes each on its own
        return [
            ('map', (left + corner[scene][0], top + corner[scene][1], size))
            if scene in corner
            else (scene, (left, top, size))
            for scene, left, top, size in boxes(root, split)
        ]

    train, val = places('train'), places('val')
    assert len(train) >= 60 and len(val) >= 40
    assert len({scene for scene, _ in train}) == len({scene for scene, _ in val})
    apart = [distance(a, b) for s, a in train for t, b in val if s == t]
    assert min(apart) >= 128


def test_windows_are_the_chips_and_masks_the_outlines(data_root, tmp_path):
    (root,) = make_examples(data_root, tmp_path, ['kampala-buildings'])
    image = np.asarray(Image.open(root / 'img_dir/val/west_128_256.png'))
    np.testing.assert_array_equal(image, read_mosaic(data_root, 'west')[256:384, 128:256])

    shape = (1024, 1536)
    outlines = list(read_outlines(data_root, 'east'))
    polygons = [dict(type='Polygon', coordinates=[outline.tolist()]) for outline in outlines]
    expected = rasterize(polygons, out_shape=shape)
    mask = building_mask(shape, iter(outlines))
    assert 0.1 < expected.mean() < 0.5
    # OpenCV draws the pixels along an edge too, GDAL those whose center is inside
    assert (mask >= expected).mean() > 0.999 and (mask != expected).mean() < 0.01


def test_no_ground_of_chips_is_on_both_sides_at_any_zoom():
    chips = [
        Chip(Path(f'{zoom}-{x}-{y}.png'), zoom, x, y, 0, [])
        for zoom in (18, 19, 20, 21)
        for x in range(40 << max(zoom - 18, 0), 44 << max(zoom - 18, 0))
        for y in (0, 1)
    ]
    splits = split_by_ground(chips)

    def west_and_east(chip: Chip) -> tuple[float, float]:
        return chip.x / 2**chip.zoom, (chip.x + 1) / 2**chip.zoom

    border = max(west_and_east(chip)[1] for chip in splits['train'])
    assert min(west_and_east(chip)[0] for chip in splits['val']) >= border + 1 / 2**19
    assert {chip.zoom for chip in splits['train']} == {18, 19, 20, 21}
    with pytest.raises(ValueError, match='too few for a split'):
        split_by_ground([chip for chip in chips if chip.zoom == 19 and chip.x < 82])


def test_a_seed_draws_its_share_of_labels(data_root, tmp_path):
    task = parse_task('buildings-10')
    lists = []
    for seed in (0, 1, 0):
        prepared = prepare(task, seed, data_root, tmp_path)
        chosen = Path(prepared.options['train_dataloader.dataset.ann_file'])
        lists.append(chosen.read_text().split())
    names = {path.stem for path in (prepared.root / 'img_dir/train').iterdir()}
    assert [len(names), len(lists[0])] == [64, 6] and set(lists[0]) <= names
    assert lists[0] == lists[2] != lists[1]
    assert set(prepared.truths) == {path.stem for path in (prepared.root / 'img_dir/val').iterdir()}


def test_scenes_are_drawn_by_class_and_never_tested(data_root, tmp_path):
    drawn = {}
    for name in ('scenes', 'scenes-10'):
        options = prepare(parse_task(name), 3, data_root, tmp_path).options
        for split in ('train', 'test'):
            lines = Path(options[f'{split}_dataloader.dataset.ann_file']).read_text().splitlines()
            drawn[name, split] = [line.split() for line in lines]
    assert drawn['scenes', 'test'] == drawn['scenes-10', 'test']
    assert not {p for p, _ in drawn['scenes', 'train']} & {p for p, _ in drawn['scenes', 'test']}
    assert np.bincount([int(k) for _, k in drawn['scenes-10', 'train']]).tolist() == [4] * 10
    assert np.bincount([int(k) for _, k in drawn['scenes-10', 'test']]).tolist() == [18] * 10
    classes = options['train_dataloader.dataset.metainfo.classes']
    assert all(path.split('/')[0] == classes[int(k)] for path, k in drawn['scenes', 'train'])


def test_lists_of_other_data_are_refused(data_root, tmp_path):
    task = parse_task('scenes-10')
    prepare(task, 0, data_root, tmp_path / 'out')
    for name in ('a', 'b'):
        (tmp_path / 'mine' / name).mkdir(parents=True)
        for index in range(3):
            Image.new('RGB', (8, 8)).save(tmp_path / 'mine' / name / f'{index}.png')
    with pytest.raises(FileExistsError, match='scenes-10_seed0'):
        prepare(task, 0, data_root, tmp_path / 'out', tmp_path / 'mine')


def test_laid_out_data_do_not_stand_for_changed_ones(data_root, tmp_path):
    """A set that is laid out once belongs to the files that it was made from."""
    chips = tmp_path / 'chips'
    chips.mkdir()
    (chips / 'labels.geojson').write_text('{"type": "FeatureCollection", "features": []}')
    for x in range(5):
        Image.new('RGB', (256, 256)).save(chips / f'19-{100 + x}-7.png')
    root = lay_out_chips(chips, tmp_path / 'out')
    assert lay_out_chips(chips, tmp_path / 'out') == root
    Image.new('RGB', (256, 256), 'red').save(chips / '19-100-7.png')
    with pytest.raises(FileExistsError, match='as its files are now'):
        lay_out_chips(chips, tmp_path / 'out')

    source, task = tmp_path / 'source', parse_task('buildings')
    for name in ('autzen', 'buildings_kampala'):
        shutil.copytree(data_root / name, source / name)
    prepare(task, 0, source, tmp_path / 'data')
    (source / 'autzen/patch/new.txt').write_text('of another task')
    prepare(task, 0, source, tmp_path / 'data')
    os.utime(source / 'buildings_kampala/labels.geojson', ns=(1, 1))
    with pytest.raises(FileExistsError, match='as its files are now'):
        prepare(task, 0, source, tmp_path / 'data')


@pytest.mark.parametrize('name', ['roads', 'heights-10', 'buildings-0', 'buildings-100', ''])
def test_unknown_tasks_are_refused(name):
    with pytest.raises(ValueError, match='expected one of'):
        parse_task(name)


# table


def test_sums_are_those_of_all_pixels(tmp_path):
    rng = np.random.default_rng(0)
    truths, predicted = {}, {}
    for name in ('a', 'b'):
        truth = rng.normal(5, 3, (6, 7)).astype(np.float32)
        truth[0, :3] = -9999
        predicted[name] = rng.normal(5, 3, (6, 7)).astype(np.float32)
        truths[name] = tmp_path / f'truth_{name}.tif'
        profile = dict(driver='GTiff', height=6, width=7, count=1, dtype='float32')
        with rasterio.open(truths[name], 'w', nodata=-9999, **profile) as file:
            file.write(truth, 1)
        with rasterio.open(tmp_path / f'{name}.tif', 'w', **profile) as file:
            file.write(predicted[name], 1)
    images, sums = image_sums('heights', tmp_path, truths)
    assert images == ['a', 'b']

    pairs = [(rasterio.open(truths[n]).read(1), predicted[n]) for n in images]
    errors = np.concatenate([(p - t)[t > -9999] for t, p in pairs])
    assert rmse(sums.sum(axis=0)) == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-6)


def confusions(rng: np.random.Generator, images: int, quality: float) -> np.ndarray:
    """Confusion matrices (N, 4) of masks of 100 pixels, of which a share is right."""
    result = []
    for _ in range(images):
        truth = rng.integers(0, 2, 100)
        guess = np.where(rng.random(100) < quality, truth, 1 - truth)
        result.append(np.bincount(2 * truth + guess, minlength=4))
    return np.array(result, float)


def test_table_is_numpys(tmp_path):
    rng = np.random.default_rng(1)
    sums = {
        (name, seed): confusions(rng, 12, quality)
        for name, quality in (('scratch', 0.6), ('ours', 0.9))
        for seed in (0, 1, 2)
    }
    task = parse_task('buildings')
    images = [f'{index}' for index in range(12)]
    results = [Result(task.name, name, seed, images, s) for (name, seed), s in sums.items()]
    rows = compare(results, [task], 'scratch')

    def iou(matrix: np.ndarray) -> float:
        return matrix[3] / (matrix[1] + matrix[2] + matrix[3])

    means = {
        name: np.mean([iou(sums[name, seed].sum(axis=0)) for seed in (0, 1, 2)])
        for name in ('scratch', 'ours')
    }
    found = {row.name: row for row in rows if row.score == 'IoU'}
    for name, mean in means.items():
        assert found[name].value.value == pytest.approx(mean)
        assert found[name].value.low < mean < found[name].value.high
    gain = found['ours'].difference
    assert gain.value == pytest.approx(means['ours'] - means['scratch']) and gain.beyond_zero
    assert found['scratch'].difference is None

    lines = list(csv.DictReader(to_csv(rows, 'scratch').splitlines()))
    assert [line['name'] for line in lines] == ['scratch', 'scratch', 'ours', 'ours']
    assert float(lines[2]['difference']) == pytest.approx(gain.value, rel=1e-5)
    text = to_markdown(rows, 'scratch')
    assert f'{means["ours"]:.3f} [' in text and f'**{gain.value:+.3f} [' in text


def test_differences_are_of_the_same_seeds():
    """A like gain at every seed is known well, however much the seeds differ."""
    sums = {
        ('scratch', seed): np.tile([50.0, 60 - 20 * seed, 60 - 20 * seed, 50], (12, 1))
        for seed in (2, 0, 1)
    }
    sums |= {('ours', seed): sums['scratch', seed] + [0, -1, -1, 0] for seed in (1, 2, 0)}
    task, images = parse_task('buildings'), [f'{index}' for index in range(12)]
    results = [Result(task.name, name, seed, images, s) for (name, seed), s in sums.items()]
    rows = {row.name: row for row in compare(results, [task], 'scratch') if row.score == 'IoU'}

    def iou(name, seed):
        _, over, under, hit = sums[name, seed][0]
        return hit / (over + under + hit)

    gains = np.array([iou('ours', seed) - iou('scratch', seed) for seed in (0, 1, 2)])
    half = stats.t.ppf(0.975, 2) * stats.sem(gains)
    gain = rows['ours'].difference
    expected = [gains.mean() - half, gains.mean(), gains.mean() + half]
    np.testing.assert_allclose([gain.low, gain.value, gain.high], expected)
    assert rows['ours'].value.high - rows['ours'].value.low > 8 * (gain.high - gain.low)


def test_other_test_images_are_not_compared():
    task, sums = parse_task('scenes-10'), np.ones((1, 2))
    results = [Result(task.name, name, 0, [name], sums) for name in ('a', 'b')]
    with pytest.raises(ValueError, match='same test images'):
        compare(results, [task], 'a')


# runs

TRAIN = """
import sys, time
from pathlib import Path
work = Path(sys.argv[sys.argv.index('--work-dir') + 1])
work.mkdir(parents=True)
with open(Path(__file__).with_name('calls.txt'), 'a') as calls:
    calls.write(' '.join(sys.argv[1:]) + '\\n')
if 'slow' in str(work):
    time.sleep(600)
if 'broken' in str(work):
    sys.exit('out of luck')
(work / 'iter_1.pth').write_text('weights')
(work / 'last_checkpoint').write_text(str(work / 'iter_1.pth'))
"""
TEST = """
import sys
from pathlib import Path
assert Path(sys.argv[2]).read_text() == 'weights'
out = Path(sys.argv[sys.argv.index('--out') + 1])
out.mkdir()
(out / 'predictions.csv').write_text(
    'file,truth,predicted,a,b\\nx/a/2.png,a,b,0,1\\nx/a/1.png,a,a,1,0\\nx/b/1.png,b,b,0,1\\n'
)
"""


@pytest.fixture
def tools(tmp_path) -> Path:
    """Stand-ins for train.py and test.py, which note how they are called."""
    folder = tmp_path / 'tools'
    folder.mkdir()
    (folder / 'train.py').write_text(TRAIN)
    (folder / 'test.py').write_text(TEST)
    return folder


def calls(tools: Path) -> list[str]:
    path = tools / 'calls.txt'
    return path.read_text().splitlines() if path.exists() else []


def stand_in_runs(tmp_path: Path, *names: str) -> list[tuple[Run, Prepared]]:
    prepared = Prepared(tmp_path / 'data', {'a.b': ('x', 'y')}, {})
    checkpoint = tmp_path / 'mae.pth'
    checkpoint.write_bytes(b'weights')
    return [
        (Run(parse_task('scenes-10'), name, None if name == 'scratch' else checkpoint, 4), prepared)
        for name in names
    ]


def test_finished_runs_are_kept(tools, tmp_path):
    runs, told = stand_in_runs(tmp_path, 'scratch', 'mae'), []
    run_all(runs, tmp_path, tools, 1, lambda run, seconds: told.append(run.name))
    assert told == ['scratch', 'mae'] and len(calls(tools)) == 2
    first, second = calls(tools)
    assert 'model.backbone.init_cfg=None' in first and '--checkpoint' not in first
    assert '--checkpoint' in second and 'init_cfg' not in second
    assert '--seed 4' in first and 'a.b=(x,y)' in first
    found = json.loads(runs[0][0].path(tmp_path).read_text())
    assert found['images'] == ['a/1.png', 'a/2.png', 'b/1.png']
    assert found['sums'] == [[1, 1], [0, 1], [1, 1]]
    assert not list(tmp_path.rglob('*iter_1.pth'))

    run_all(runs, tmp_path, tools, 1, lambda run, seconds: told.append(run.name))
    assert len(told) == 2 and len(calls(tools)) == 2

    (tmp_path / 'mae.pth').write_bytes(b'others')
    with pytest.raises(FileExistsError, match='checkpoint'):
        run_all(runs, tmp_path, tools, 1, lambda run, seconds: None)


def test_a_result_belongs_to_its_data(tools, tmp_path):
    """Folders of one name, and one folder before and after a change, are different data."""

    def run_with(root: Path) -> None:
        run = Run(parse_task('scenes-10'), 'scratch', None, 0)
        run_all([(run, Prepared(root, {}, {}))], tmp_path, tools, 1, lambda run, seconds: None)

    for side, color in (('A', 'red'), ('B', 'blue')):
        (tmp_path / side / 'set').mkdir(parents=True)
        Image.new('RGB', (8, 8), color).save(tmp_path / side / 'set/0.png')
    run_with(tmp_path / 'A/set')
    with pytest.raises(FileExistsError, match='fingerprint of the data'):
        run_with(tmp_path / 'B/set')

    shutil.copytree(tmp_path / 'A/set', tmp_path / 'moved')  # with the files' times
    (tmp_path / 'moved/.cache').mkdir()
    (tmp_path / 'moved/.cache/index.json').write_text('{}')
    run_with(tmp_path / 'moved')
    assert len(calls(tools)) == 1

    Image.new('RGB', (8, 8), 'green').save(tmp_path / 'A/set/0.png')
    with pytest.raises(FileExistsError, match='fingerprint of the data'):
        run_with(tmp_path / 'A/set')


def test_a_result_belongs_to_its_config(tools, tmp_path, monkeypatch, project_root):
    """Edits of the config, of what it inherits, and of the lists of labels are noticed."""
    labels, base = tmp_path / 'labels.txt', tmp_path / 'base.py'
    config, shipped = tmp_path / 'config.py', project_root / 'configs' / KINDS['scenes'][0]
    base.write_text(f'_base_ = [{str(shipped)!r}]\n')
    config.write_text(f'_base_ = [{str(base)!r}]\n')
    monkeypatch.setitem(KINDS, 'scenes', (str(config), KINDS['scenes'][1]))
    key = 'train_dataloader.dataset.ann_file'

    def run_with(**options: str) -> None:
        run = Run(parse_task('scenes-10'), 'scratch', None, 0)
        prepared = Prepared(tmp_path / 'data', {key: str(labels), **options}, {})
        run_all([(run, prepared)], tmp_path, tools, 1, lambda run, seconds: None)

    labels.write_text('a/1.png 0\n')
    run_with()
    monkeypatch.setenv('MSSDF_DATA', '/elsewhere')  # the tools are not told
    monkeypatch.setenv('MSSDF_CHECKPOINT', '/elsewhere.pth')
    run_with()
    assert len(calls(tools)) == 1

    with pytest.raises(FileExistsError, match='hash of the merged config'):
        run_with(**{'train_dataloader.dataset.data_prefix': 'x'})
    labels.write_text('a/2.png 0\n')
    with pytest.raises(FileExistsError, match='hash of the merged config'):
        run_with()
    labels.write_text('a/1.png 0\n')
    run_with()
    base.write_text(base.read_text() + 'optim_wrapper = dict(optimizer=dict(lr=1e-2))\n')
    with pytest.raises(FileExistsError, match='hash of the merged config'):
        run_with()


def test_a_failed_run_tells_why_and_keeps_the_others(tools, tmp_path):
    runs = stand_in_runs(tmp_path, 'scratch', 'broken', 'mae')
    with pytest.raises(RunFailedError, match='out of luck'):
        run_all(runs, tmp_path, tools, 1, lambda run, seconds: None)
    assert runs[0][0].path(tmp_path).exists() and not runs[1][0].path(tmp_path).exists()


@pytest.mark.parametrize('content', ['{"task": "scenes-10", "na', '[]', '{}', '\udcff'])
def test_a_torn_result_is_named(content, tools, tmp_path):
    runs = stand_in_runs(tmp_path, 'scratch')
    path = runs[0][0].path(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(content.encode(errors='surrogateescape'))
    with pytest.raises(ValueError, match=f'{path}: expected the result of a run'):
        run_all(runs, tmp_path, tools, 1, lambda run, seconds: None)
    with pytest.raises(ValueError, match=f'{path}: expected the result of a run'):
        load_results([path])


def test_stopping_ends_the_tools_at_once(tools, tmp_path):
    runs = stand_in_runs(tmp_path, 'scratch', 'slow')

    def stop_after_the_first(run: Run, seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # else it would wait ten minutes
        run_all(runs, tmp_path, tools, 2, stop_after_the_first)
    assert runs[0][0].path(tmp_path).exists() and not runs[1][0].path(tmp_path).exists()


# command line


def test_checkpoints_go_with_the_seeds(tmp_path):
    for name in 'abc':
        (tmp_path / name).touch()
    files = [tmp_path / name for name in 'abc']
    given = [f'ours={",".join(map(str, files))}', f'mae={files[0]}']
    encoders = benchmark.read_encoders(given, [5, 6, 7])
    assert encoders == dict(scratch=[None] * 3, ours=files, mae=[files[0]] * 3)
    with pytest.raises(ValueError, match='one checkpoint or 2'):
        benchmark.read_encoders(given, [5, 6])


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['ours=nothing.pth'], 'nothing.pth: expected a checkpoint (ours), found none'),
        (['nothing.pth'], 'expected NAME=CHECKPOINT'),
        (['--against', 'mae'], '--against: expected one of'),
        (['--tasks', 'roads'], "found 'roads'"),
        (
            ['--data', 'roads=here'],
            "--data: expected TASK=FOLDER with one of ['buildings', 'heights', 'scenes']",
        ),
        (['--data', 'heights=here'], '--data heights=here: expected a folder'),
        (['--data', 'heights=.', 'heights=.'], '--data heights=.: expected one folder of heights'),
        (['--data', 'scenes=.', '--tasks', 'heights'], '--data scenes=.: expected data of a task'),
        (['--seeds', '0', '0'], '--seeds: expected different numbers from 0 on, found [0, 0]'),
        (['--seeds', '-1'], '--seeds: expected different numbers from 0 on, found [-1]'),
        (['--jobs', '0'], '--jobs: expected an integer of at least 1, found 0'),
        ([f'ours={PATH}'], f'ours: expected a checkpoint, found {PATH}'),
        (['--iterations', '1'], '--iterations'),
    ],
)
def test_wrong_inputs_are_one_line(arguments, message, tmp_path, capsys):
    assert benchmark.main(['--out', str(tmp_path), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_checkpoints_without_an_encoder_are_refused(tmp_path):
    path = tmp_path / 'head.pth'
    torch.save(dict(state_dict={'head.weight': torch.zeros(2)}), path)
    with pytest.raises(ValueError, match=r'ours: .*head.pth: expected weights backbone'):
        benchmark.check_checkpoints(dict(scratch=[None], ours=[path]))
    torch.save(dict(state_dict={'backbone.weight': torch.zeros(2)}), path)
    benchmark.check_checkpoints(dict(scratch=[None], ours=[path]))


def test_two_calls_do_not_write_to_one_folder(tmp_path, capsys):
    with lock_folder(tmp_path):
        assert benchmark.main(['--out', str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert '--out' in error and 'in use by process' in error and len(error.splitlines()) == 1
    assert not (tmp_path / 'data').exists()


def test_default_tasks_are_tasks(project_root):
    for name in DEFAULT_TASKS:
        assert (project_root / 'configs' / parse_task(name).config).is_file()


def few(kind: str, data_root: Path, folder: Path) -> Path:
    """Three training and three test images of a kind."""
    given = folder / kind
    if kind == 'scenes':
        for name in ('Forest', 'Highway'):
            (given / name).mkdir(parents=True)
            for path in sorted((data_root / 'eurosat_rgb' / name).iterdir())[:6]:
                shutil.copy(path, given / name)
        return given
    name = dict(buildings='kampala-buildings', heights='autzen-ign-heights')[kind]
    (root,) = make_examples(data_root, folder / 'all', [name])
    for path in sorted(root.glob('*/*')):
        (given / path.relative_to(root)).mkdir(parents=True)
        for file in sorted(path.iterdir())[30:33]:
            shutil.copy(file, given / file.relative_to(root))
    return given


@pytest.mark.slow
@pytest.mark.parametrize(
    'kind, score, measured',
    [
        ('buildings', 'mIoU', 'mIoU'),
        ('heights', 'RMSE', 'RMSE'),
        ('scenes', 'accuracy', 'accuracy/top1'),
    ],
)
def test_the_tools_score_the_same(kind, score, measured, data_root, project_root, tmp_path):
    """Two iterations: the score of our sums against the one that test.py has measured."""
    task = parse_task(kind)
    options = {**benchmark.shorten(2), 'train_dataloader.batch_size': 2}
    run = Run(task, 'scratch', None, 0, options)
    prepared = prepare(task, 0, data_root, tmp_path / 'data', few(kind, data_root, tmp_path))
    execute(run, prepared, tmp_path, project_root / 'tools', 1, Event())

    scores = tmp_path / 'work' / kind / 'scratch_seed0/test/scores.json'
    expected = json.loads(scores.read_text())['scores'][measured]
    found = json.loads(run.path(tmp_path).read_text())
    result = Result(kind, 'scratch', 0, found['images'], np.array(found['sums']))
    rows = {row.score: row.value.value for row in compare([result], [task], 'scratch')}
    # the others are in percent, to two digits
    assert rows[score] == pytest.approx(
        expected if kind == 'heights' else expected / 100, abs=0.0001
    )
