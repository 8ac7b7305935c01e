"""Overlays: variants that any config can have, such as a frozen encoder or fewer labels.

An overlay is the text of a child config without its ``_base_``: it is merged over a config by
MMEngine's own rules, and ``_base_`` in it is the config below. They lie in
``configs/_base_/with/``.
"""

import ast
import tempfile
import traceback
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from mmengine.config import Config

from mssdf.errors import UsageError, one_line
from mssdf.utils.project_root import ROOT

FOLDER = Path('_base_', 'with')
# Overlays that exclude each other: how the encoder begins and learns, and the share of labels.
CHOICES = (('frozen', 'random', 'scratch'), ('labels-20', 'labels-50'))
# Settings of the option --with, in every command line that has it.
OVERLAYS: dict[str, Any] = dict(
    dest='overlays',
    nargs='+',
    default=[],
    metavar='OVERLAY',
    help='variants to merge over the config, in this order, such as: frozen labels-20; the config '
    'stands before this option, which takes all words behind it',
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
    path = Path(name) if name.endswith('.py') else ROOT / 'configs' / FOLDER / f'{name}.py'
    if not path.is_file():
        raise UsageError(f'--with {name}: expected {_known()}, found none')
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
        UsageError: if an overlay does not exist, does not fit, has a fault, or is given twice.
    """
    found = [find_overlay(name) for name in overlays]
    with tempfile.TemporaryDirectory() as folder:
        chain = _Chain(Path(folder))
        plain = chain.flatten(str(path.absolute()))
        if found:
            # MMEngine names its output after the file that it has read.
            name = name_of_run(path, overlays)
            plain = chain.write(name, _bases_line([chain.stack(plain, found)]))
        return chain.read(plain)


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
            f'overlay {overlay}: expected a config below, found none: among the bases of a config, '
            'a list of names, it is read by mssdf.cli.configs.read_config alone'
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
        self.overlays: dict[str, Path] = {}  # by the files that spell them

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
            _check_choice(overlay, self.overlays.values())
            _check_text(overlay)
            base = self.write(overlay.stem, _bases_line([base]) + overlay.read_text())
            self.overlays[base] = overlay
        return base

    def read(self, config: str) -> Config:
        """Read a config; the error of an overlay in it names the overlay's own file and line."""
        try:
            return Config.fromfile(config)
        except UsageError:
            raise
        except Exception as error:  # an overlay's own code may raise any type
            place = self._place_of(error)
            if place is None:
                raise
            raise UsageError(
                f'{place}: expected an overlay, found {type(error).__name__}: {one_line(error)}'
            ) from error

    def _place_of(self, error: Exception) -> str | None:
        """Find the overlay that an error is from, and its line; None if it is from none."""
        frames = list(traceback.walk_tb(error.__traceback__))
        # MMEngine reads each file in a call of its own, and its bases inside that call
        reading = [frame for frame, _ in frames if frame.f_code is Config._file2dict.__code__]
        path = reading[-1].f_locals['filename'] if reading else ''
        if path not in self.overlays:
            return None

        lines = [line for frame, line in frames if frame.f_code.co_filename == path]
        # the line of `_base_` stands before the overlay's own
        return f'{self.overlays[path]}:{lines[-1] - 1}' if lines else str(self.overlays[path])

    def flatten(self, config: str) -> str:
        """Spell a config and its bases with no overlay among the bases.

        Args:
            config: absolute path of the config, or the name of one in another package.

        Returns:
            The same where no overlay is among them, else the path of a config that means the same.

        Raises:
            UsageError: if an overlay among them does not exist.
        """
        statement = _bases_of(config)
        if statement is None:
            return config

        bases, lines = statement
        overlays = [Path(base) for base in bases if _is_overlay(base)]
        for overlay in overlays:
            if not overlay.is_file():
                raise UsageError(f'{config}: expected {_known()}, found none at {overlay}')
        others = [base for base in bases if not _is_overlay(base)]
        below = [self.flatten(base) for base in others]
        if not overlays and below == others:
            return config

        if overlays:
            below = [self.stack(self.write('bases', _bases_line(below)), overlays)]
        text = Path(config).read_text().splitlines(keepends=True)
        text[lines] = [_bases_line(below)]
        return self.write(Path(config).stem, ''.join(text))


def _known() -> str:
    """Describe what an overlay may be, for messages."""
    names = sorted(path.stem for path in (ROOT / 'configs' / FOLDER).glob('*.py'))
    return f'one of {", ".join(names)}, or the path of a .py file'


def _check_choice(overlay: Path, before: Iterable[Path]) -> None:
    """Check that an overlay is not one of those before it, nor another choice than they are."""
    for other in before:
        if other.resolve() == overlay.resolve():
            raise UsageError(f'overlay {overlay.stem}: expected once, found twice')

        if not (_is_overlay(str(other)) and _is_overlay(str(overlay))):
            continue  # one's own may have any name
        for names in CHOICES:
            if {overlay.stem, other.stem} <= set(names):
                raise UsageError(
                    f'overlay {overlay.stem}: expected one of {", ".join(names)} alone, '
                    f'found {other.stem} before it'
                )


def _check_text(overlay: Path) -> None:
    """Check that an overlay is Python and has no bases of its own, which would be lost."""
    try:
        tree = ast.parse(overlay.read_text())
    except SyntaxError as error:
        raise UsageError(
            f'{overlay}:{error.lineno}: expected an overlay, found SyntaxError: {error.msg}'
        ) from error

    for node in ast.walk(tree):
        if _states_bases(node):
            raise UsageError(
                f'overlay {overlay.stem}: expected no `_base_`, found {ast.unparse(node)}'
            )


def _states_bases(node: ast.AST) -> TypeGuard[ast.Assign]:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == '_base_'


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
    """Find the bases that a config names, and their lines; None if it names none.

    Raises:
        UsageError: if it names an overlay by an expression.
    """
    path = Path(config)
    if '::' in config or path.suffix != '.py' or not path.is_file():
        return None
    try:
        statements = ast.parse(path.read_text()).body
    except SyntaxError:
        return None  # MMEngine's error names the line

    for node in statements:
        if _states_bases(node):
            try:
                named = ast.literal_eval(node.value)
            except ValueError:
                code = ast.unparse(node.value)
                if FOLDER.as_posix() in code:
                    raise UsageError(
                        f'{config}: expected `_base_` as a list of names, found {code}'
                    ) from None
                return None  # an expression, which MMEngine evaluates
            named = [named] if isinstance(named, str) else named
            lines = slice(node.lineno - 1, node.end_lineno)
            return [_place(name, path.parent) for name in named], lines
    return None
