"""The table of docs/results/recipe.md is what the configs say."""

import re
from pathlib import Path

from mmengine import Config

MODELS = 'configs/_base_/models'
HEADING = '## What ours changes'


def flatten(value, prefix: str = '') -> dict[str, object]:
    if not isinstance(value, dict):
        return {prefix: value}
    found = {}
    for key, inner in value.items():
        found |= flatten(inner, f'{prefix}.{key}' if prefix else key)
    return found


def options(config: Config) -> dict[str, object]:
    """Options of the model, and of the method's hooks, by their paths."""
    model = flatten(config.model.to_dict())
    hooks = flatten(config.default_hooks.to_dict(), 'default_hooks')
    return {key.removesuffix('.type'): value for key, value in (model | hooks).items()}


def test_every_change_of_our_recipe_stands_in_its_table(project_root: Path):
    ours, paper = (
        options(Config.fromfile(project_root / MODELS / f'{name}_vit-b-p16.py'))
        for name in ('mssdf', 'mssdf-paper')
    )
    changed = {key for key in ours | paper if ours.get(key) != paper.get(key)}
    page = (project_root / 'docs/results/recipe.md').read_text()
    table = page.split(HEADING)[1].split('\n## ')[0]
    named = {
        name
        for line in table.splitlines()
        if line.startswith('|')
        for name in re.findall(r'`([a-z_.]+)`', line.split('|')[1])
    }

    def covers(name: str, key: str) -> bool:
        return f'{key}.'.startswith(f'{name}.') or key.split('.')[-1] == name

    assert named
    assert not [key for key in sorted(changed) if not any(covers(name, key) for name in named)]
    assert not [name for name in sorted(named) if not any(covers(name, key) for key in changed)]
