"""Packaging of MSSDF.

Configs, tools and the small imagery stand beside the package in the repository. An installed
package has them under ``mssdf/.mim``, where ``mim`` and MMEngine (``_base_ = 'mssdf::...'``) look
for them: copied into a wheel, linked in an editable installation.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MIM_CONTENTS = ('configs', 'tools', 'tests/data', 'model-index.yml')
NOT_SHIPPED = shutil.ignore_patterns('__pycache__', '*.py[cod]', '.mssdf_cache*')


class BuildWithMim(build_py):
    """Build the package and put what stands beside it under ``mssdf/.mim``."""

    def run(self) -> None:
        """Build, then copy or link."""
        super().run()
        editable = getattr(self, 'editable_mode', False)
        target = (ROOT if editable else Path(self.build_lib)) / 'mssdf' / '.mim'
        if target.exists():
            shutil.rmtree(target)
        for name in MIM_CONTENTS:
            source, place = ROOT / name, target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if editable:
                place.symlink_to(source, target_is_directory=source.is_dir())
            elif source.is_dir():
                shutil.copytree(source, place, ignore=NOT_SHIPPED)
            else:
                shutil.copyfile(source, place)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Name the copied files too, so that whoever records what was built sees them."""
        outputs = super().get_outputs(include_bytecode)
        mim = Path(self.build_lib) / 'mssdf' / '.mim'
        return outputs + [str(path) for path in mim.rglob('*') if path.is_file()]


def version() -> str:
    """The version, without importing the package and so without its dependencies."""
    text = (ROOT / 'mssdf' / 'version.py').read_text()
    found = re.search(r"^__version__ = '([^']+)'", text, re.MULTILINE)
    if found is None:
        raise ValueError("mssdf/version.py: expected a line __version__ = '...', found none")
    return found.group(1)


def requirements(name: str) -> list[str]:
    """The requirements of ``requirements/NAME.txt`` without comments."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith('#')]


segmentation, detection = requirements('segmentation'), requirements('detection')
preparation = requirements('preparation')
tensorboard = [line for line in requirements('tests') if line.startswith('tensorboard')]

setup(
    name='mssdf',
    version=version(),
    description='Self-supervised pre-training on multi-modal remote sensing imagery (MSSDF)',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    python_requires='>=3.10',
    packages=find_packages(include=['mssdf', 'mssdf.*']),
    cmdclass={'build_py': BuildWithMim},
    install_requires=requirements('runtime'),
    extras_require={
        'segmentation': segmentation,
        'detection': detection,
        'preparation': preparation,
        'tensorboard': tensorboard,
        'tests': requirements('tests'),
        'checks': requirements('checks'),
        'docs': requirements('docs'),
        'all': segmentation + detection + preparation + tensorboard,
    },
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Intended Audience :: Science/Research',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.11',
        'Topic :: Scientific/Engineering :: Image Processing',
    ],
    zip_safe=False,
)
