"""What the package imports, against what it asks pip for."""

import ast
import re
import sys
from pathlib import Path

# Names under which a distribution is imported, where the two differ.
IMPORTED_AS = {
    'onedl-mmengine': 'mmengine',
    'onedl-mmcv': 'mmcv',
    'onedl-mmpretrain': 'mmpretrain',
    'onedl-mmsegmentation': 'mmseg',
    'onedl-mmdetection': 'mmdet',
    'onedl-mmrotate': 'mmrotate',
    'scikit-learn': 'sklearn',
    'scikit-image': 'skimage',
    'pillow': 'PIL',
    'pyyaml': 'yaml',
    'opencv-python': 'cv2',
}
OPTIONAL = ('mmseg', 'mmdet', 'mmrotate', 'litdata', 'dask', 'distributed', 'skimage')
# Packages of ours that are imported only where mmseg is installed.
NEED_MMSEG = (
    'mssdf/datasets/tasks',
    'mssdf/models/change',
    'mssdf/models/height',
    'mssdf/models/segmentors',
    'mssdf/models/tta',
)


def required(project_root: Path, name: str) -> set[str]:
    lines = (project_root / 'requirements' / f'{name}.txt').read_text().splitlines()
    found = [re.match(r'[A-Za-z0-9_.-]+', line) for line in lines]
    names = {match.group(0).lower() for match in found if match}
    return {IMPORTED_AS.get(each, each.replace('-', '_')) for each in names}


def imported(path: Path) -> set[str]:
    """Top-level names that a module imports, absolute ones only."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition('.')[0])
    return names - set(sys.stdlib_module_names) - {'mssdf'}


def test_every_import_is_a_requirement(project_root):
    allowed = set.union(
        *(
            required(project_root, name)
            for name in ('runtime', 'segmentation', 'detection', 'preparation')
        )
    )
    sources = [
        path
        for folder in ('mssdf', 'tools')
        for path in sorted((project_root / folder).rglob('*.py'))
        if '.mim' not in path.parts
    ]
    assert sources
    stray = {
        path.relative_to(project_root).as_posix(): sorted(imported(path) - allowed)
        for path in sources
        if imported(path) - allowed
    }
    assert not stray, f'imported, but in no requirements/*.txt: {stray}'


def test_pins_lie_in_the_ranges(project_root):
    from packaging.requirements import Requirement

    folder = project_root / 'requirements'
    pins = dict(
        line.split('==')
        for line in (folder / 'constraints.txt').read_text().splitlines()
        if '==' in line and not line.startswith('#')
    )
    names = ('runtime', 'segmentation', 'detection', 'preparation', 'checks', 'docs', 'tests')
    for name in names:
        for line in (folder / f'{name}.txt').read_text().splitlines():
            if not line or line.startswith('#'):
                continue
            requirement = Requirement(line)
            if requirement.name in pins:
                assert requirement.specifier.contains(pins[requirement.name]), line
            else:
                assert name == 'tests', f'requirements/{name}.txt: {line} has no pinned version'


def test_optional_packages_are_imported_where_they_are_used(project_root):
    """No module names mmseg, mmdet, mmrotate or mmcv's compiled ops at its top level.

    But for mmseg in the packages that are for it.

    mmpretrain and mmcv look for some of them by themselves; that none is needed is
    test_runtime_only's.
    """
    found = []
    for path in sorted((project_root / 'mssdf').rglob('*.py')):
        for_mmseg = path.parent.relative_to(project_root).as_posix() in NEED_MMSEG
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f'{node.module}.{alias.name}' for alias in node.names]
            else:
                continue
            found += [
                f'{path.name}:{node.lineno} {name}'
                for name in names
                if name.startswith('mmcv.ops')
                or name.partition('.')[0] in OPTIONAL[1 if for_mmseg else 0 :]
            ]
    assert not found, f'imported at the top level: {found}'
