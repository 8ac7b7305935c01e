"""Pages of the site that are made while MkDocs builds it: modules, command lines, the tutorial.

``mkdocs.yml`` names this file under ``hooks``. Sources are parsed, never imported, so that the site
is built without torch.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parents[1]
API = 'reference/api'
COMMANDS = 'reference/command-lines.md'
TUTORIAL = 'guide/tutorial.ipynb'


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Append the pages of the packages to the section 'Reference' of the navigation."""
    reference = next(entry['Reference'] for entry in config.nav if 'Reference' in entry)
    reference.append({'Python modules': [{name: page} for name, page in package_pages().items()]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those of ``docs/``."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, COMMANDS, content=command_lines()))
    tutorial = Path(TUTORIAL).with_suffix('.md').as_posix()
    files.append(File.generated(config, tutorial, content=notebook_page(ROOT / 'docs' / TUTORIAL)))
    for name, page in package_pages().items():
        files.append(File.generated(config, page, content=package_page(name)))
    return files


def package_pages() -> dict[str, str]:
    """List the names of all packages, such as ``mssdf.models.losses``, with their pages."""
    folders = sorted(path.parent for path in (ROOT / 'mssdf').rglob('__init__.py'))
    names = ['.'.join(folder.relative_to(ROOT).parts) for folder in folders]
    return {name: f'{API}/{name}.md' for name in names if '.mim' not in name}


def package_page(name: str) -> str:
    """Write the page of a package: its docstring, then its modules for mkdocstrings.

    Args:
        name: dotted name of the package.
    """
    folder = ROOT.joinpath(*name.split('.'))
    modules = [path.stem for path in sorted(folder.glob('*.py')) if not path.stem.startswith('_')]
    package = ast.parse((folder / '__init__.py').read_text())

    blocks = [f'# {name}', markdown(ast.get_docstring(package) or '')]
    blocks += [f'::: {name}.{module}' for module in modules]
    return '\n\n'.join(blocks) + '\n'


def notebook_page(path: Path) -> str:
    """Turn a notebook into Markdown: its texts, and its code in fences.

    Args:
        path: notebook without outputs.
    """
    cells = json.loads(path.read_text())['cells']
    texts = [(cell['cell_type'], ''.join(cell['source'])) for cell in cells]
    blocks = [f'```python\n{text}\n```' if kind == 'code' else text for kind, text in texts]
    return '\n\n'.join(blocks) + '\n'


def command_lines() -> str:
    """Write the page of all scripts under ``tools/``: docstring and options of each."""
    blocks = [
        '# Command lines',
        'Every script says with `--help` what it takes. Scripts of one folder serve one purpose:\n'
        '`dataset_tools` make training data, `model_tools` convert checkpoints, `analysis_tools`\n'
        'measure features, `benchmarks` measure time and compare recipes.',
    ]
    folder = ROOT / 'tools'
    for path in [*sorted(folder.glob('*.*')), *sorted(folder.glob('*/*.py'))]:
        if not path.name.startswith('_') and path.suffix in ('.py', '.sh'):
            blocks += [f'## {path.relative_to(folder).as_posix()}', *script_blocks(path)]
    return '\n\n'.join(blocks) + '\n'


def script_blocks(path: Path) -> Iterator[str]:
    """Write the blocks of Markdown for one script.

    Args:
        path: script in Python, or a shell script whose head is a comment.
    """
    if path.suffix == '.sh':
        yield f'```text\n{head_comment(path.read_text())}\n```'
        return

    tree = ast.parse(path.read_text())
    yield markdown(ast.get_docstring(tree) or '')
    rows = [option_row(call) for call in ast.walk(tree) if is_option(call)]
    if rows:
        yield '\n'.join(['| argument | meaning |', '|---|---|', *rows])


def head_comment(text: str) -> str:
    """Return the comment at the head of a shell script, without ``#``.

    Args:
        text: text of the script.
    """
    lines = []
    for line in text.splitlines()[1:]:
        if not line.startswith('#'):
            break
        lines.append(line.removeprefix('#').removeprefix(' '))
    return '\n'.join(lines)


def markdown(docstring: str) -> str:
    """Convert a docstring to Markdown: ``::`` before an indented block becomes a colon.

    Args:
        docstring: docstring, indentation already removed.
    """
    lines = [line[:-1] if line.endswith('::') else line for line in docstring.splitlines()]
    return '\n'.join(lines)


def is_option(node: ast.AST) -> bool:
    """Tell whether a call is ``add_argument`` with a literal name."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == 'add_argument'
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
    )


def option_row(call: Any) -> str:
    """Write a row of the table for one call of ``add_argument``.

    Args:
        call: call whose first arguments are names of the option.
    """
    names = [name.value for name in call.args if isinstance(name, ast.Constant)]
    words = {word.arg: word.value for word in call.keywords}
    meaning = words.get('help')
    text = meaning.value if isinstance(meaning, ast.Constant) else ''
    cells = [', '.join(f'`{name}`' for name in names), text]
    return '| ' + ' | '.join(cell.replace('|', '\\|').replace('%%', '%') for cell in cells) + ' |'
