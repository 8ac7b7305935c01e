"""One-line mutations that the tests must notice, from the YAML files beside this one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@dataclass(frozen=True)
class Mutation:
    """A change of one fragment of one file.

    Attributes:
        file: path of the file, from the top folder.
        old: fragment, which occurs once in the file.
        new: fragment in its place.
        tests: paths of the test files that must notice.
    """

    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def __str__(self) -> str:
        old, new = (' '.join(part.split()) for part in (self.old, self.new))
        return f'{self.file}: {old}  ->  {new}'

    def apply(self, text: str) -> str:
        """Put the new fragment into the text of the file.

        Raises:
            ValueError: if the old one does not occur exactly once.
        """
        count = text.count(self.old)
        if count != 1:
            raise ValueError(f'{self.file}: expected {self.old!r} once, found it {count} times')
        return text.replace(self.old, self.new)


def load_mutations(folder: Path = HERE) -> list[Mutation]:
    """Read all lists of a folder."""
    return [
        Mutation(group['file'], change['old'], change['new'], tuple(group['tests']))
        for path in sorted(folder.glob('*.yaml'))
        for group in yaml.safe_load(path.read_text())
        for change in group['changes']
    ]


def problems(mutations: Sequence[Mutation], root: Path = ROOT) -> Iterator[str]:
    """Tell what no longer fits the files: fragments, tests, mutations that are no Python."""
    seen = set()
    for mutation in mutations:
        key = (mutation.file, mutation.old, mutation.new)
        if key in seen or mutation.old == mutation.new:
            yield f'{mutation}: expected another change'
        seen.add(key)
        for test in mutation.tests:
            if not (root / test).is_file():
                yield f'{mutation.file}: tests: no file {test}'
        try:
            compile(mutation.apply((root / mutation.file).read_text()), mutation.file, 'exec')
        except (OSError, SyntaxError, ValueError) as error:
            yield f'{mutation}: {error}'
