"""The shell functions that make environments, without installing anything."""

import subprocess
import sys

import pytest


@pytest.fixture
def bash(project_root, tmp_path):
    """Run lines of bash in the repository with the functions at hand."""
    (tmp_path / 'venv/bin').mkdir(parents=True)
    (tmp_path / 'venv/bin/python').symlink_to(sys.executable)

    def run(lines: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            ['bash', '-uc', f'. scripts/_environment.sh\ndir={tmp_path}/venv\n{lines}'],
            cwd=project_root,
            capture_output=True,
            text=True,
        )

    return run


def test_a_step_runs_once_for_the_same_inputs(bash):
    ran = bash(
        'step $dir a "1" doing echo RAN; step $dir a "1" doing echo RAN\n'
        'step $dir a "2" doing echo RAN'
    )
    assert ran.returncode == 0
    assert ran.stdout.splitlines().count('RAN') == 2


def test_a_step_that_fails_stops_and_is_tried_again(bash):
    failed = bash('step $dir a 1 doing false; echo NOT REACHED')
    assert failed.returncode == 1
    assert 'NOT REACHED' not in failed.stdout
    assert 'a could not be installed' in failed.stderr
    assert 'RAN' in bash('step $dir a 1 doing echo RAN').stdout.splitlines()


def test_every_pin_that_is_asked_for_exists(bash):
    ran = bash('for p in torch torchvision onedl-mmcv; do pinned $p; done')
    versions = ran.stdout.split()
    assert len(versions) == 3 and all(version[0].isdigit() for version in versions)


def test_only_a_fitting_wheel_is_taken(bash, tmp_path):
    import os

    system, machine = os.uname().sysname.lower(), os.uname().machine
    tag = f'cp{sys.version_info.major}{sys.version_info.minor}'
    version = bash('pinned onedl-mmcv').stdout.strip()
    names = [
        f'onedl_mmcv-{version}-cp39-cp39-{system}_{machine}.whl',
        f'onedl_mmcv-0.0.1-{tag}-{tag}-{system}_{machine}.whl',
        f'onedl_mmcv-{version}-{tag}-{tag}-{system}_sparc.whl',
    ]
    for name in names:
        (tmp_path / name).touch()
    assert bash(f'mmcv_wheel $dir {tmp_path}').stdout == ''
    fitting = f'onedl_mmcv-{version}-{tag}-{tag}-{system}_{machine}.whl'
    (tmp_path / fitting).touch()
    assert bash(f'mmcv_wheel $dir {tmp_path}').stdout.strip() == str(tmp_path / fitting)


def test_an_unusable_python_is_named(bash, tmp_path):
    ran = bash('PYTHON=/nowhere/python find_python')
    assert ran.returncode == 1
    assert '/nowhere/python: no such program' in ran.stderr
    old = tmp_path / 'old'
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.8.1\nexit 1\n')
    old.chmod(0o755)
    ran = bash(f'PYTHON={old} find_python')
    assert ran.returncode == 1
    assert 'Python 3.8.1' in ran.stderr
