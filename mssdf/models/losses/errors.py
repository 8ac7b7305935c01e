"""The error of a loss that is not finite."""

from collections.abc import Sequence


class NonFiniteLossError(FloatingPointError):
    """A loss that is NaN or infinite.

    Args:
        terms: names of the terms that are not finite on this rank, with their values.
        files: files of this rank's batch.
    """

    def __init__(self, terms: Sequence[str], files: Sequence[str]) -> None:
        self.terms = list(terms)
        self.files = list(files)
        named = ', '.join(self.terms) or 'none on this rank, another rank has one'
        super().__init__(
            f'the loss is not finite: {named}; files of the batch: {", ".join(self.files)}'
        )
