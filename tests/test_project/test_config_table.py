"""The table of configs in the documentation is that of the configs."""

import importlib.util
import re
from pathlib import Path

from shipped_configs import CONFIGS, OVERLAYS, load

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_has_the_tables(monkeypatch):
    spec = importlib.util.spec_from_file_location('config_table', ROOT / 'scripts/config_table.py')
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, 'load', load)
    assert script.main(['--check']) == 0, 'run scripts/config_table.py'


def test_every_config_and_overlay_is_on_the_page():
    page = (ROOT / 'docs/reference/configs.md').read_text()
    named = set()
    for name in re.findall(r'^\| `([^`]+)` \|', page, flags=re.MULTILINE):
        sizes = re.search(r'\{([a-z,]+)\}', name)
        for size in sizes[1].split(',') if sizes else ['']:
            named.add(re.sub(r'\{[a-z,]+\}', size, name))
    assert {path.stem for path in CONFIGS} <= named
    assert all(f'`{name}`' in page for name in OVERLAYS)
