"""Overlays: merged as child configs would be, on the command line and in a config's bases."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine import Config

from mssdf.cli.configs import read_config
from mssdf.cli.overlays import name_of_run, read_with_overlays
from mssdf.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs'
AID = CONFIGS / 'classification/mssdf_vit-t-p16_4xb64-adamw-100e_aid.py'
PROBE = CONFIGS / 'classification/mssdf_vit-t-p16-linear_4xb64-sgd-90e_aid.py'
FROZEN, LABELS = (str(CONFIGS / f'_base_/with/{name}.py') for name in ('frozen', 'labels-20'))


def load_tool(name: str):
    spec = importlib.util.spec_from_file_location(f'overlaid_{name}', ROOT / f'tools/{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.fixture(scope='module')
def by_hand(tmp_path_factory) -> dict:
    """The config that children written by hand give, read by MMEngine alone."""
    folder = tmp_path_factory.mktemp('children')
    lower = 'model = dict(backbone=dict(frozen=True))\n'
    upper = "train_dataloader = dict(dataset=dict(ann_file='splits/train_20.txt'))\n"
    write(folder / 'frozen.py', f"_base_ = ['{AID}']\n{lower}")
    write(folder / 'fewer.py', f"_base_ = ['./frozen.py']\n{upper}")
    return Config.fromfile(folder / 'fewer.py').to_dict()


def test_overlays_are_children(by_hand):
    config = read_with_overlays(AID, ['frozen', 'labels-20'])
    assert config.to_dict() == by_hand
    assert Path(config.filename).name == f'{AID.stem}+frozen+labels-20.py'


def test_overlays_among_the_bases_are_children(by_hand, tmp_path):
    bases = [str(AID), FROZEN, LABELS]
    mine = write(tmp_path / 'mine.py', f'_base_ = {bases}\n')
    assert read_config(str(mine)).to_dict() == by_hand
    # MMEngine alone does not take it for something else
    with pytest.raises(UsageError, match='frozen: expected a config below.*read_config'):
        Config.fromfile(mine)


def test_overlays_among_the_bases_of_a_base(by_hand, tmp_path):
    bases = ['mssdf::_base_/with/frozen.py', LABELS]
    write(tmp_path / 'lower.py', f"_base_ = ['{AID}', {bases[0]!r}]\n")
    mine = write(
        tmp_path / 'mine.py',
        f'_base_ = [\n    "./lower.py",\n    {LABELS!r},\n]\nnote = {{{{_base_.num_classes}}}}\n'
        'model = dict(head=dict(num_classes=_base_.num_classes + 1))\n',
    )
    found = read_with_overlays(mine).to_dict()
    assert found.pop('note') == 30
    assert found['model']['head'].pop('num_classes') == 31
    expected = {key: value for key, value in by_hand.items()}
    expected['model'] = {**by_hand['model'], 'head': dict(by_hand['model']['head'])}
    assert expected['model']['head'].pop('num_classes') == 30
    assert found == expected


def test_the_last_overlay_wins(tmp_path):
    names = []
    for value in ('1e-2', '1e-3'):
        path = write(
            tmp_path / f'rate-{value}.py',
            'old = _base_.optim_wrapper.optimizer.lr\n'
            f'optim_wrapper = dict(optimizer=dict(_delete_=True, type="SGD", lr={value}))\n',
        )
        names.append(str(path))
    config = read_with_overlays(AID, names)
    assert config.optim_wrapper.optimizer == dict(type='SGD', lr=1e-3)
    assert config.old == 1e-2
    assert name_of_run(AID, names) == f'{AID.stem}+rate-1e-2+rate-1e-3'


@pytest.mark.parametrize(
    ('config', 'names', 'words'),
    [
        (
            PROBE,
            ['scratch'],
            ['scratch', 'an encoder that learns', 'model.backbone.frozen', 'True'],
        ),
        (
            AID,
            ['scratch', 'frozen'],
            ['overlay frozen: expected one of frozen, random, scratch alone, found scratch'],
        ),
        (AID, ['random', 'scratch'], ['overlay scratch: expected one of ', 'found random']),
        (AID, ['frozen', 'small', 'random'], ['overlay random: expected one of ', 'found frozen']),
        (AID, ['labels-20', 'labels-50'], ['overlay labels-50: expected ', 'found labels-20']),
        (AID, ['frozen', 'frozen'], ['overlay frozen: expected once, found twice']),
        (AID, ['small', FROZEN, 'small'], ['overlay small: expected once, found twice']),
        (AID, ['scratch', 'scratch'], ['overlay scratch: expected once, found twice']),
        (AID, ['frozen', FROZEN], ['overlay frozen: expected once, found twice']),
        (AID, ['eroded'], ['eroded', 'eroded_labels', 'found none']),
        (AID, ['fsdp'], ['fsdp', 'model.type', "found 'ImageClassifier'"]),
        (AID, ['frozzen'], ['--with frozzen', 'frozen, fsdp', '.py']),
        (AID, ['./mine.py'], ['--with ./mine.py', 'expected']),
    ],
)
def test_what_does_not_fit_is_one_line(config, names, words, capsys, tmp_path):
    train = load_tool('train')
    assert train.main([str(config), '--with', *names, '--work-dir', str(tmp_path)]) == 2
    (line,) = capsys.readouterr().out.strip().splitlines()
    assert line.startswith('train.py: ') and all(word in line for word in words), line


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (
            "note = 1\n_base_ = ['mssdf::_base_/with/frozen.py']\n",
            "overlay mine: expected no `_base_`, found _base_ = ['mssdf::_base_/with/frozen.py']",
        ),
        (
            'size = _base_.train_dataloader.batch_size\nhalf = _base_.train_dataloader.batch_siz\n',
            "MINE:2: expected an overlay, found AttributeError: 'ConfigDict' object has no "
            "attribute 'batch_siz'",
        ),
        (
            'model = dict(\n',
            "MINE:1: expected an overlay, found SyntaxError: '(' was never closed",
        ),
        (  # fits no line of the overlay: MMEngine merges it when all of it is read
            'work_dir = dict(a=1)\nnum_classes = dict(b=2)\n',
            'MINE: expected an overlay, found TypeError: num_classes=',
        ),
    ],
)
@pytest.mark.parametrize('others', [[], ['small']])
def test_a_fault_in_an_overlay_names_it(text, message, others, tmp_path):
    mine = write(tmp_path / 'mine.py', text)
    with pytest.raises(UsageError) as error:
        read_config(str(AID), overlays=[str(mine), *others])
    assert str(error.value).startswith(message.replace('MINE', str(mine)))


def test_a_fault_of_a_config_below_overlays_names_the_config(tmp_path):
    wrong = write(tmp_path / 'wrong.py', f'_base_ = {str(AID)!r}\nnote = _base_.batch_siz\n')
    with pytest.raises(UsageError, match=f'^{wrong}: expected a config, found AttributeError'):
        read_config(str(wrong), overlays=['small', 'frozen'])


def test_an_overlay_is_taken_once_with_those_of_the_bases(tmp_path):
    mine = write(tmp_path / 'mine.py', f'_base_ = [{str(AID)!r}, {LABELS!r}]\n')
    assert read_config(str(mine), overlays=['frozen']).model.backbone.frozen
    for name, found in (('labels-20', 'found twice'), ('labels-50', 'found labels-20')):
        with pytest.raises(UsageError, match=f'overlay {name}: expected .*{found}'):
            read_config(str(mine), overlays=[name])


def test_overlays_of_ones_own_may_share_a_name(tmp_path):
    paths = []
    for count, folder in enumerate(('one', 'two')):
        (tmp_path / folder).mkdir()
        paths.append(str(write(tmp_path / folder / 'frozen.py', f'note_{count} = {count}\n')))
    config = read_config(str(AID), overlays=[*paths, 'random'])
    assert (config.note_0, config.note_1, config.model.backbone.frozen) == (0, 1, True)


def test_bases_as_an_expression(tmp_path):
    plain = write(tmp_path / 'plain.py', f'_base_ = [{str(AID)!r}] + []\n')
    assert read_config(str(plain)).num_classes == 30
    mine = write(tmp_path / 'mine.py', f'_base_ = [{str(AID)!r}] + [{FROZEN!r}]\n')
    with pytest.raises(UsageError) as error:
        read_config(str(mine))
    expected = f'{mine}: expected `_base_` as a list of names, found [{str(AID)!r}] + '
    assert str(error.value).startswith(expected)


@pytest.mark.parametrize('name', ['mssdf::_base_/with/frozne.py', FROZEN.replace('zen', 'zne')])
def test_a_misspelt_overlay_among_the_bases(name, tmp_path):
    mine = write(tmp_path / 'mine.py', f'_base_ = [{str(AID)!r}, {name!r}]\n')
    with pytest.raises(UsageError, match='mine.py: expected one of .*frozen, fsdp.*frozne.py$'):
        read_config(str(mine))


def test_a_syntax_error_in_a_config_with_overlays_is_one_line(tmp_path):
    wrong = write(tmp_path / 'wrong.py', f'_base_ = [{str(AID)!r}, {FROZEN!r}]\nmodel = dict(\n')
    with pytest.raises(UsageError, match='expected a config, found .*Syntax'):
        read_config(str(wrong))


@pytest.mark.parametrize('name', ['train', 'test'])
def test_the_run_is_named_after_config_and_overlays(name):
    tool = load_tool(name)
    weights = ['weights.pth'] if name == 'test' else []
    args = tool.parse_args([str(PROBE), *weights, '--with', 'random', 'labels-20'])
    config = tool.load_config(args)
    assert config.work_dir == f'work_dirs/{PROBE.stem}+random+labels-20'
    assert config.model.backbone.init_cfg is None


@pytest.mark.slow
def test_what_the_run_writes_stands_by_itself(tmp_path):
    """Trained again from the config in the run's folder, with no overlay: the same weights."""
    import torch

    from mssdf.preparation.examples import make_examples

    (data,) = make_examples(ROOT / 'tests/data', tmp_path, ['eurosat'])
    sizes = ['train_dataloader.dataset.pipeline.1.scale=32', 'train_cfg.max_iters=2']
    sizes += ['val_dataloader.dataset.indices=4', 'train_cfg.val_interval=2']
    config = CONFIGS / 'classification/mssdf_vit-t-p16-linear_4xb64-sgd-90e_eurosat.py'
    environment = dict(os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    environment['PYTHONPATH'] = str(ROOT)

    def train(*arguments: str) -> dict:
        command = [sys.executable, str(ROOT / 'tools/train.py'), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        folder = Path(arguments[arguments.index('--work-dir') + 1])
        weights = (folder / 'last_checkpoint').read_text().strip()
        return torch.load(weights, weights_only=False)['state_dict']

    first, second = tmp_path / 'first', tmp_path / 'second'
    overlays = ['--with', 'random', 'labels-20', 'small']
    given = ['--data-root', str(data), '--cfg-options', *sizes]
    one = train(str(config), *overlays, '--work-dir', str(first), *given)
    written = first / f'{config.stem}+random+labels-20+small.py'
    assert '_base_' not in written.read_text()
    other = train(str(written), '--work-dir', str(second))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
