"""The project as a package: what it ships, and that it runs elsewhere."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import mssdf


def tracked(project_root: Path, *folders: str) -> set[str]:
    """Files that git tracks; without git (an unpacked sdist) those that lie there."""
    try:
        listing = subprocess.run(
            ['git', 'ls-files', '-z', *folders],
            cwd=project_root,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        found = (path for name in folders for path in (project_root / name).rglob('*'))
        return {
            path.relative_to(project_root).as_posix()
            for path in found
            if path.is_file() and '__pycache__' not in path.parts
        }
    return {name for name in listing.split('\0') if name and (project_root / name).is_file()}


def test_every_folder_of_modules_is_a_package(project_root):
    folders = {path.parent for path in (project_root / 'mssdf').rglob('*.py')}
    lacking = [
        folder.relative_to(project_root).as_posix()
        for folder in folders
        if '.mim' not in folder.parts and not (folder / '__init__.py').is_file()
    ]
    assert not lacking, f'without __init__.py a wheel leaves these out: {lacking}'


def test_imagery_is_small_and_attributed(data_root):
    files = [
        path
        for path in data_root.rglob('*')
        if path.is_file() and not path.name.startswith('.mssdf_cache')
    ]
    assert sum(path.stat().st_size for path in files) <= 20_000_000
    for folder in (path for path in data_root.iterdir() if path.is_dir()):
        if folder.name == '__pycache__' or folder.name.startswith('.'):
            continue
        text = (folder / 'ATTRIBUTION.md').read_text()
        for word in ('Source:', 'License:', 'Changed:'):
            assert word in text, f'{folder.name}/ATTRIBUTION.md has no line {word!r}'


def test_rasters_are_georeferenced_and_compressed(data_root):
    import rasterio

    rasters = sorted(data_root.rglob('*.tif'))
    assert rasters
    for path in rasters:
        with rasterio.open(path) as raster:
            assert raster.crs is not None, path.name
            # without loss, but for crops that only pre-training reads
            lossy = 'JPEG' if path.parent.name == 'urban_trees' else 'DEFLATE'
            assert raster.compression.value in ('DEFLATE', lossy), path.name
            if raster.dtypes[0] == 'float32':
                assert raster.nodata is not None, path.name
            # Near infrared must not be taken for an alpha band.
            assert 'alpha' not in {color.name for color in raster.colorinterp}, path.name


@pytest.fixture(scope='session')
def distributions(project_root, tmp_path_factory) -> dict[str, Path]:
    """An sdist, and the wheel made from it, by ``python -m build``."""
    folder = tmp_path_factory.mktemp('dist')
    built = subprocess.run(
        [sys.executable, '-m', 'build', '--no-isolation', '--outdir', str(folder)],
        cwd=project_root,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    return {'sdist': next(folder.glob('*.tar.gz')), 'wheel': next(folder.glob('*.whl'))}


@pytest.mark.slow
def test_sdist_holds_the_whole_project(distributions, project_root):
    with tarfile.open(distributions['sdist']) as archive:
        names = {name.partition('/')[2] for name in archive.getnames()}
    expected = tracked(project_root, 'mssdf', 'configs', 'tools', 'tests', 'requirements')
    expected |= {'setup.py', 'pyproject.toml', 'README.md', 'LICENSE', 'CHANGELOG.md'}
    assert expected - names == set()
    assert not [name for name in names if '__pycache__' in name or '.mim' in name]


@pytest.mark.slow
def test_wheel_holds_package_configs_tools_and_imagery(distributions, project_root):
    with zipfile.ZipFile(distributions['wheel']) as archive:
        names = set(archive.namelist())
    expected = tracked(project_root, 'mssdf')
    beside = tracked(project_root, 'configs', 'tools', 'tests/data')
    expected |= {f'mssdf/.mim/{name}' for name in beside} | {'mssdf/.mim/model-index.yml'}
    assert expected - names == set()
    assert not [name for name in names if name.startswith('tests/') or '__pycache__' in name]
    assert distributions['wheel'].stat().st_size < 21_000_000


@pytest.mark.slow
def test_wheel_finds_its_configs_elsewhere(distributions, tmp_path):
    """Unpacked elsewhere, the package gives its configs to MMEngine and trains a step."""
    site = tmp_path / 'site'
    install = [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--target']
    subprocess.run([*install, str(site), str(distributions['wheel'])], check=True)
    script = (
        'import pathlib, mssdf\n'
        'from mmengine.config import Config\n'
        'from mmengine.hub import get_config\n'
        f'assert pathlib.Path(mssdf.__file__).is_relative_to({str(site)!r}), mssdf.__file__\n'
        "name = 'mssdf::pretrain/mssdf_vit-t-p16_quick-start.py'\n"
        "pathlib.Path('child.py').write_text(f'_base_ = {name!r}')\n"
        'config, child = get_config(name), Config.fromfile("child.py")\n'
        'assert config.model.backbone.arch == child.model.backbone.arch\n'
        'print(config.model.type)\n'
    )
    ran = subprocess.run(
        [sys.executable, '-c', script],
        cwd=tmp_path,
        env=environment(site),
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.split()[-1].endswith('MSSDF')


def environment(site: Path) -> dict[str, str]:
    """This process's variables with ``site`` first on the path."""
    import os

    return {**os.environ, 'PYTHONPATH': str(site)}


def test_version_is_the_changelogs_newest(project_root):
    headings = [
        line for line in (project_root / 'CHANGELOG.md').read_text().splitlines() if '## [' in line
    ]
    assert headings[0].startswith(('## [Unreleased]', f'## [{mssdf.__version__}]'))
    assert any(f'[{mssdf.__version__}]' in line for line in headings)
