"""Give an environment the packages of another one, as hard links to the same files.

Run it with the interpreter of the environment that has the packages:
    .venv/bin/python scripts/_link_packages.py .venv-runtime/bin/python torch torchvision
The requirements of the packages are linked too; commands (``bin/torchrun``) are not, as they name
their interpreter.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import (
    Distribution,
    PackageNotFoundError,
    PackagePath,
    distribution,
    distributions,
)
from pathlib import Path

DESCRIBE = (
    'import json, sys, sysconfig; '
    'print(json.dumps([sys.version_info[:2], sysconfig.get_path("purelib")]))'
)


def with_requirements(names: list[str]) -> dict[str, Distribution]:
    """Find the packages and all their installed requirements, by name."""
    found: dict[str, Distribution] = {}
    wanted = list(names)
    while wanted:
        name = re.sub(r'[-_.]+', '-', wanted.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            if name in names:
                raise SystemExit(f'{name}: not installed in {sys.prefix}') from None
            continue  # a requirement of other systems or versions of Python
        for requirement in found[name].requires or []:
            if 'extra ==' not in requirement:
                wanted.append(re.split(r'[^\w.-]', requirement, maxsplit=1)[0])
    return found


def link(source: Path, target: Path) -> None:
    """Link a file, or copy it where source and target are on different file systems."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def files_of(package: Distribution) -> list[PackagePath]:
    """List the files of a package in ``site-packages``, as paths relative to it."""
    if package.files is None:
        raise SystemExit(f'{package.name}: no list of its files (RECORD), so it cannot be taken')
    return [file for file in package.files if '..' not in file.parts]


def main(interpreter: str, names: list[str]) -> None:
    described = subprocess.run(
        [interpreter, '-c', DESCRIBE], check=True, capture_output=True, text=True
    )
    version, site_packages = json.loads(described.stdout)
    if tuple(version) != sys.version_info[:2]:
        raise SystemExit(
            f'{interpreter} is Python {version[0]}.{version[1]}; expected {sys.version_info[0]}.'
            f'{sys.version_info[1]} as in {sys.prefix}: remove one of the environments'
        )
    for name, package in with_requirements(names).items():
        for earlier in distributions(name=name, path=[site_packages]):
            for file in files_of(earlier):
                Path(site_packages, file).unlink(missing_ok=True)
        for file in files_of(package):
            source = Path(str(package.locate_file(file)))
            if source.is_file():
                link(source, Path(site_packages, file))


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2:])
