"""Write the table of all configs in docs/reference/configs.md from the configs themselves.

Usage: ``python scripts/config_table.py [--check]``
"""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

import mssdf  # noqa: F401  MMEngine then finds mmseg under either name of its distribution
from mssdf.cli.overlays import FOLDER
from mssdf.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs/reference/configs.md'
BEGIN, END = '<!-- scripts/config_table.py -->', '<!-- end -->'
FAMILIES = (
    *('pretrain', 'pretrain/ablations', 'classification', 'segmentation', 'height_estimation'),
    *('change_detection', 'detection', 'rotated_detection'),
)
SIZE = re.compile(r'(?<=_vit-)[tsblh](?=-p16)')


def overlays() -> dict[str, str]:
    """Read the text of each overlay that ships, by its name."""
    files = sorted((ROOT / 'configs' / FOLDER).glob('*.py'))
    return {path.stem: path.read_text() for path in files}


def fits(config: Mapping[str, Any], text: str) -> bool:
    """Tell whether an overlay fits a config, by its own checks."""
    try:
        exec(text, dict(_base_=config))
    except UsageError:
        return False
    return True


def innermost(dataset: Any) -> Any:
    """Return the first data set inside those that combine several."""
    while 'datasets' in dataset:
        dataset = dataset['datasets'][0]
    return dataset


def length(loop: Mapping[str, Any]) -> str:
    """Format the length of training."""
    if loop.get('max_iters'):
        return f'{loop["max_iters"]:,} iterations'
    return f'{loop["max_epochs"]} epochs'


def row(config: Config) -> tuple[str, ...]:
    """Format a config's data, pixels, batch, optimizer, length and overlays."""
    loader, settings = config.train_dataloader, config._cfg_dict
    # of the sizes in a row `large` fits ViT-B alone, as the page says
    names = [name for name, text in overlays().items() if name != 'large' and fits(settings, text)]
    ranks = (config.get('auto_scale_lr') or {}).get('base_batch_size')
    batch = loader.batch_size
    return (
        f'`{innermost(loader.dataset).data_root}`',
        str(config.model.backbone.img_size),
        f'{ranks // batch if ranks else 1} × {batch}',
        f'{config.optim_wrapper.optimizer.type} {config.optim_wrapper.optimizer.lr:g}',
        length(config.train_cfg),
        ', '.join(names),
    )


def load(path: Path) -> Config:
    """Read a config of any library, without the packages that running it needs."""
    return Config.fromfile(path, import_custom_modules=False)


def rows(family: str) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a family; sizes that differ in nothing else share a row."""
    found: dict[tuple[str, tuple[str, ...]], str] = {}
    for path in sorted((ROOT / 'configs' / family).glob('*.py')):
        config = load(path)
        size = SIZE.search(path.stem)
        key = (SIZE.sub('N', path.stem), row(config))
        found[key] = found.get(key, '') + (size[0] if size else '')
    for (name, cells), sizes in found.items():
        shown = ','.join(sorted(sizes, key='tsblh'.index))
        shown = f'{{{shown}}}' if len(sizes) > 1 else shown
        yield f'`{name.replace("_vit-N-p16", f"_vit-{shown}-p16")}`', *cells


def tables() -> str:
    """Format all tables in Markdown."""
    parts = []
    for family in FAMILIES:
        parts.append(f'### `configs/{family}/`\n')
        parts.append('| config | data | pixels | GPUs × batch | optimizer | length | overlays |')
        parts.append('|---|---|---|---|---|---|---|')
        parts += [f'| {" | ".join(cells)} |' for cells in rows(family)]
        parts.append('')
    return '\n'.join(parts)


def main(arguments: list[str] | None = None) -> int:
    """Write the tables into the page, or with ``--check`` compare; return 1 if they differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--check', action='store_true', help='compare without writing')
    check = parser.parse_args(arguments).check

    old = PAGE.read_text()
    head, tail = old.partition(BEGIN)[0], old.partition(END)[2]
    new = f'{head}{BEGIN}\n\n{tables()}\n{END}{tail}'
    if not check:
        PAGE.write_text(new)
    elif new != old:
        print(f'{PAGE.relative_to(ROOT)}: expected the tables of scripts/config_table.py')
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
