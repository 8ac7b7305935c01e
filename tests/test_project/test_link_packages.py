"""Packages that one environment takes from another, in two real environments."""

import subprocess
import sys
from pathlib import Path

import pytest


def make_environment(folder: Path) -> Path:
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', str(folder)], check=True)
    return folder / 'bin/python'


def site_packages(environment: Path) -> Path:
    (folder,) = environment.glob('lib/python*/site-packages')
    return folder


def install(
    environment: Path, name: str, requires: tuple[str, ...] = (), version: str = '1.0'
) -> None:
    """A package with a module, a file in a folder and a command, as pip would leave it."""
    site = site_packages(environment)
    info = f'{name}-{version}.dist-info'
    files = {
        f'{name}/__init__.py': f'NAME = {name!r}\n',
        f'{name}/of_{version}.py': '',
        f'{name}/lib/native.so': 'bytes of ' + name,
        f'{info}/METADATA': f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n'
        + ''.join(f'Requires-Dist: {requirement}\n' for requirement in requires),
        f'../../../bin/{name}': f'#!{environment}/bin/python\n',
    }
    record = f'{info}/RECORD'
    files[record] = ''.join(f'{file},,\n' for file in [*files, record])
    for file, text in files.items():
        path = site / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def link(project_root, tmp_path):
    """Run the script from one new environment on another."""
    ours, theirs = make_environment(tmp_path / 'ours'), make_environment(tmp_path / 'theirs')

    def run(*names: str, target: Path = theirs) -> subprocess.CompletedProcess:
        script = str(project_root / 'scripts/_link_packages.py')
        return subprocess.run(
            [str(ours), script, str(target), *names], capture_output=True, text=True
        )

    return run


def test_a_package_comes_with_what_it_requires_and_nothing_else(link, tmp_path):
    ours, theirs = tmp_path / 'ours', tmp_path / 'theirs'
    install(
        ours,
        'big',
        ('needed_by-big>=1', 'elsewhere; sys_platform == "win32"', 'more; extra == "x"'),
    )
    install(ours, 'needed_by_big')
    install(ours, 'more')
    install(ours, 'other')
    for _ in range(2):  # what was interrupted is done again
        ran = link('big')
        assert ran.returncode == 0, ran.stderr
    said = subprocess.run(
        [
            str(theirs / 'bin/python'),
            '-Ic',
            'import big, needed_by_big, importlib.metadata as m; '
            'print(big.NAME, needed_by_big.NAME, *sorted(d.name for d in m.distributions()))',
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert said == ['big', 'needed_by_big', 'big', 'needed_by_big']
    native = 'big/lib/native.so'
    assert (site_packages(theirs) / native).samefile(site_packages(ours) / native)
    assert not (theirs / 'bin/big').exists()


def test_an_earlier_version_leaves_nothing(link, tmp_path):
    install(tmp_path / 'theirs', 'big', version='0.9')
    install(tmp_path / 'ours', 'big')
    assert link('big').returncode == 0
    site = site_packages(tmp_path / 'theirs')
    assert [path.name for path in site.glob('big-*/METADATA')] == ['METADATA']
    assert 'Version: 1.0' in (site / 'big-1.0.dist-info/METADATA').read_text()
    assert (site / 'big/of_1.0.py').is_file() and not (site / 'big/of_0.9.py').exists()


def test_removing_it_from_one_leaves_the_other(link, tmp_path):
    install(tmp_path / 'ours', 'big')
    assert link('big').returncode == 0
    (site_packages(tmp_path / 'theirs') / 'big/lib/native.so').unlink()
    assert (site_packages(tmp_path / 'ours') / 'big/lib/native.so').read_text() == 'bytes of big'


def test_a_package_that_is_not_there_is_named(link, tmp_path):
    ran = link('absent')
    assert ran.returncode == 1
    assert f'absent: not installed in {tmp_path}/ours' in ran.stderr


def test_another_python_is_named(link, tmp_path):
    install(tmp_path / 'ours', 'big')
    old = tmp_path / 'old'
    old.write_text('#!/bin/sh\necho \'[[3, 8], "/nowhere"]\'\n')
    old.chmod(0o755)
    ran = link('big', target=old)
    assert ran.returncode == 1
    assert f'{old} is Python 3.8; expected 3.{sys.version_info.minor}' in ran.stderr
