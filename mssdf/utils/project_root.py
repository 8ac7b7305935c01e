"""Folder of the configs and the sample imagery: the checkout, or the installed package's own."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# an installed package carries configs/, tools/ and tests/data in .mim
ROOT = PACKAGE / '.mim' if (PACKAGE / '.mim').is_dir() else PACKAGE.parent
