"""Folder of the configs and the sample imagery: the checkout, or inside the installed package."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# An installed package contains configs/, tools/ and tests/data in .mim.
ROOT = PACKAGE / '.mim' if (PACKAGE / '.mim').is_dir() else PACKAGE.parent
