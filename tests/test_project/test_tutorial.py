"""The tutorial runs from a fresh clone, as a reader would run it."""

import re
from pathlib import Path

import matplotlib.image
import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient

NOTEBOOK = 'docs/guide/tutorial.ipynb'


@pytest.fixture
def notebook(project_root: Path) -> nbformat.NotebookNode:
    return nbformat.read(project_root / NOTEBOOK, as_version=4)


def test_it_is_kept_without_outputs_and_with_links_that_lead_somewhere(notebook, project_root):
    assert not [cell for cell in notebook.cells if cell.get('outputs')]
    text = '\n'.join(cell.source for cell in notebook.cells if cell.cell_type == 'markdown')
    links = re.findall(r'\]\(([^)]+)\)', text)
    assert len(links) >= 3
    assert not [link for link in links if not (project_root / NOTEBOOK).with_name(link).exists()]


@pytest.mark.slow
def test_it_ends_with_a_picture_of_features(notebook, project_root, tmp_path, monkeypatch):
    monkeypatch.setenv('MSSDF_WORK', str(tmp_path))
    monkeypatch.setenv('PYTHONPATH', str(project_root))
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    monkeypatch.delenv('MPLBACKEND', raising=False)
    folder = {'metadata': {'path': str((project_root / NOTEBOOK).parent)}}
    NotebookClient(notebook, timeout=570, kernel_name='python3', resources=folder).execute()

    outputs = [output for cell in notebook.cells for output in cell.get('outputs', [])]
    assert sum('image/png' in output.get('data', {}) for output in outputs) == 3
    printed = '\n'.join(output.text for output in outputs if 'text' in output)
    assert '0 mismatched, 0 missing, 0 unexpected' in printed

    losses = [float(value) for value in re.findall(r'\bloss: ([\d.]+)', printed)]
    assert len(losses) >= 4 and losses[-1] < losses[0]

    # the picture shows more than one color, and the encoder in it is the one that was trained
    colors = matplotlib.image.imread(tmp_path / 'features.png')
    assert np.std(colors[..., :3]) > 0.05
    stored = torch.load(tmp_path / 'epoch_2.pth', weights_only=False)
    assert stored['meta']['iter'] == 64
