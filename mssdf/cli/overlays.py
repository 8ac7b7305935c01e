"""Overlays: variants that any config can have, such as a frozen encoder or fewer labels.

An overlay is the text of a child config without its ``_base_``: it is merged over a config by
MMEngine's own rules, and ``_base_`` in it is the config below. They lie in
``configs/_base_/with/``.
"""

import ast
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mssdf.errors import UsageError
from mssdf.utils.project_root import ROOT

FOLDER = Path('_base_', 'with')
# Settings of the option --with, in every command line that has it.
OVERLAYS: dict[str, Any] = dict(
    dest='overlays',
    nargs='+',
    default=[],
    metavar='OVERLAY',
    help='variants to merge over the config, in this order, such as: frozen labels-20',
)


def find_overlay(name: str) -> Path:
    """Find an overlay that ships, by its name, or one's own, by the path of its file.

    Args:
        name: name such as ``frozen``, or path that ends in ``.py``.

    Returns:
        Path of the overlay's file.

    Raises:
        UsageError: if there is none of the name.
    """
    folder = ROOT / 'configs' / FOLDER
    path = Path(name) if name.endswith('.py') else folder / f'{name}.py'
    if not path.is_file():
        known = ', '.join(sorted(each.stem for each in folder.glob('*.py')))
        raise UsageError(
            f'--with {name}: expected one of {known}, or the path of a .py file, found none'
        )
    return path


def name_of_run(config: Path, overlays: Sequence[str]) -> str:
    """Name what a config with overlays trains: ``CONFIG+frozen+labels-20``."""
    return '+'.join([config.stem, *(Path(name).stem for name in overlays)])


def read_with_overlays(path: Path, overlays: Sequence[str] = ()) -> Config:
    """Read a config, with overlays merged over it in their order.

    MMEngine lets no two bases have the same key, and so refuses an overlay in a config's own
    ``_base_``. Here it is taken for a child of the bases beside it, and the config for a child of
    the overlay.

    Args:
        path: path of the config's file.
        overlays: names or paths of overlays; see :func:`find_overlay`.

    Returns:
        Config as MMEngine reads it, named after the config and its overlays.

    Raises:
        UsageError: if an overlay does not exist or does not fit.
    """
    found = [find_overlay(name) for name in overlays]
    with tempfile.TemporaryDirectory() as folder:
        chain = _Chain(Path(folder))
        plain = chain.flatten(str(path.absolute()))
        if found:
            # MMEngine names its output after the file that it has read.
            name = name_of_run(path, overlays)
            plain = chain.write(name, _bases_line([chain.stack(plain, found)]))
        return Config.fromfile(plain)


def expect(
    base: Mapping[str, Any],
    overlay: str,
    key: str,
    wanted: str,
    values: Collection[Any] | None = None,
) -> None:
    """Check, in an overlay, that it fits the config below.

    Args:
        base: config below, ``_base_`` in the overlay.
        overlay: name of the overlay.
        key: dotted path of a key that the config must have.
        wanted: description of the key's meaning, for the message.
        values: values that the key may have, None for a missing key; without ``values``, any value.

    Raises:
        UsageError: if there is no config below, or its key is missing or has another value.
    """
    if not base:  # MMEngine reads each base without the others
        raise UsageError(
            f'overlay {overlay}: expected a config below, found none: among the bases of a config '
            'it is read by mssdf.cli.configs.read_config alone'
        )
    found: Any = base
    for part in key.split('.'):
        found = found.get(part) if isinstance(found, Mapping) else None
    fits = found is not None if values is None else found in values
    if not fits:
        shown = 'none' if found is None else repr(found)
        raise UsageError(f'overlay {overlay}: expected {wanted} ({key}), found {shown}')


class _Chain:
    """Files in a temporary folder that spell overlays as a chain of child configs.

    Args:
        folder: folder to write to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def write(self, name: str, text: str) -> str:
        """Write a config under its name into a folder of its own; return its path."""
        folder = self.folder / str(self.count)
        self.count += 1
        folder.mkdir()
        path = folder / f'{name}.py'
        path.write_text(text)
        return str(path)

    def stack(self, base: str, overlays: Sequence[Path]) -> str:
        """Write each overlay as a child of the config below it; return the path of the last."""
        for overlay in overlays:
            base = self.write(overlay.stem, _bases_line([base]) + overlay.read_text())
        return base

    def flatten(self, config: str) -> str:
        """Spell a config and its bases with no overlay among the bases.

        Args:
            config: absolute path of the config, or the name of one in another package.

        Returns:
            The same where no overlay is among them, else the path of a config that means the same.
        """
        statement = _bases_of(config)
        if statement is None:
            return config

        bases, lines = statement
        overlays = [Path(base) for base in bases if _is_overlay(base)]
        others = [base for base in bases if not _is_overlay(base)]
        below = [self.flatten(base) for base in others]
        if not overlays and below == others:
            return config

        if overlays:
            below = [self.stack(self.write('bases', _bases_line(below)), overlays)]
        text = Path(config).read_text().splitlines(keepends=True)
        text[lines] = [_bases_line(below)]
        return self.write(Path(config).stem, ''.join(text))


def _bases_line(bases: Sequence[str]) -> str:
    return f'_base_ = {list(bases)}\n'


def _place(base: str, folder: Path) -> str:
    """Resolve the path of a base that a config in a folder names.

    Bases in other packages keep their names.
    """
    shipped = f'mssdf::{FOLDER.as_posix()}/'
    if base.startswith(shipped):
        return str(ROOT / 'configs' / FOLDER / base.removeprefix(shipped))
    return base if '::' in base else str(folder / base)


def _is_overlay(base: str) -> bool:
    return '::' not in base and Path(base).resolve().parent.parts[-2:] == FOLDER.parts


def _bases_of(config: str) -> tuple[list[str], slice] | None:
    """Find the bases that a config names, and their lines; None if it names none."""
    path = Path(config)
    if '::' in config or path.suffix != '.py' or not path.is_file():
        return None
    try:
        statements = ast.parse(path.read_text()).body
    except SyntaxError:
        return None  # MMEngine's error names the line

    for node in statements:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == '_base_':
            try:
                named = ast.literal_eval(node.value)
            except ValueError:
                return None  # an expression, which MMEngine evaluates
            named = [named] if isinstance(named, str) else named
            lines = slice(node.lineno - 1, node.end_lineno)
            return [_place(name, path.parent) for name in named], lines
    return None
