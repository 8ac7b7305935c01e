"""The list of mutations fits the code as it is; tests/long runs it."""

from pathlib import Path

import pytest
from mutation_list import Mutation, load_mutations, problems


def test_every_mutation_still_fits_its_file():
    mutations = load_mutations()
    assert len(mutations) >= 120
    assert list(problems(mutations)) == []


@pytest.mark.parametrize(
    ('old', 'new', 'tests', 'words'),
    [
        ('c = 3', 'c = 4', (), 'once, found it 0 times'),
        ('= 1', '= 2', (), 'once, found it 2 times'),
        ('a = 1', 'a = (', (), 'never closed'),
        ('a = 1', 'a = 1', (), 'expected another change'),
        ('a = 1', 'a = 2', ('tests/gone.py',), 'no file tests/gone.py'),
    ],
)
def test_a_mutation_that_does_not_fit_is_named(tmp_path: Path, old, new, tests, words):
    (tmp_path / 'code.py').write_text('a = 1\nb = 1\n')
    (found,) = problems([Mutation('code.py', old, new, tests)], tmp_path)
    assert found.startswith('code.py') and words in found
