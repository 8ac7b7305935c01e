"""Errors that name what is wrong, what was expected and what was found.

Their messages have one form, ``NAME: expected …, found …``, and their parts are attributes, so that
no code has to take a message apart. A command line shows a :class:`UsageError` as one line, without
a traceback. Most classes are also the built-in error that a caller of Python code would look for.
"""

import os

# torch builds an error of a data worker again from its class and the text of its traceback alone.
WORKER = 'in DataLoader worker process'


class UsageError(Exception):
    """An error that the user can put right; a command line shows it as one line."""


class Words(str):
    """A finding told in words, which stands in a message without quotation marks."""


class ExpectationError(UsageError):
    """An error about one named thing that is not as expected.

    Args:
        name: name of the thing; the whole message, where nothing else is given.
        expected: description of what was expected.
        found: value that was found, shown as Python writes it, or :class:`Words` on it.
        note: advice that follows behind a semicolon.

    Attributes:
        name: name of the thing.
        expected: description of what was expected.
        found: description of what was found.
        note: advice.
    """

    def __init__(
        self, name: str | os.PathLike, expected: str = '', found: object = None, note: str = ''
    ) -> None:
        self.name = os.fspath(name)
        self.expected = expected
        self.found = Words(_described(found))
        self.note = note
        # an error goes from process to process as its class and these
        super().__init__(self.name, self.expected, self.found, self.note)

    @property
    def problem(self) -> str:
        """Expectation and finding, without the name."""
        if not self.expected:
            return ''
        note = f'; {self.note}' if self.note else ''
        return f'expected {self.expected}, found {self.found}{note}'

    def __str__(self) -> str:
        """Put name and problem in one line."""
        return f'{self.name}: {self.problem}' if self.expected else self.name


class ConfigError(ExpectationError, ValueError):
    """A value of a config that cannot be used; ``name`` is its key, dotted as far as known."""

    @property
    def key(self) -> str:
        """The key, as the code that found the error knows it."""
        return self.name


class UnknownKeyError(ConfigError, KeyError):
    """A key of a config that does not exist; ``name`` is the key, or where it stands."""


class FileError(ExpectationError, ValueError):
    """A file whose content is not as expected; ``name`` is its path."""

    @property
    def path(self) -> str:
        """The path of the file, with the line or the entry where that is known."""
        return self.name


class MissingFileError(FileError, FileNotFoundError):
    """A file or folder that does not exist."""


class CheckpointError(UsageError, RuntimeError):
    """A checkpoint that cannot be read, or does not fill the model.

    Args:
        path: path of the checkpoint; the whole message, where no problem is given.
        problem: description of the fault.
    """

    def __init__(self, path: str | os.PathLike, problem: str = '') -> None:
        self.path = os.fspath(path)
        self.problem = problem
        super().__init__(self.path, self.problem)

    def __str__(self) -> str:
        """Put path and problem in one line."""
        return f'{self.path}: {self.problem}' if self.problem else self.path


def message_of(error: BaseException) -> str:
    """Return the message of any error, without the traceback that a data worker puts before it."""
    quoted = isinstance(error, KeyError) and not isinstance(error, UsageError) and error.args
    message = str(error.args[0]) if quoted else str(error)
    if WORKER not in message:
        return message

    last = message.strip().splitlines()[-1]
    # behind the traceback stands 'module.Class: message'
    _, colon, said = last.partition(f'{type(error).__name__}: ')
    return said if colon else last


def one_line(error: BaseException) -> str:
    """Return the message of any error in one line; the name of its class where it has none."""
    return ' '.join(message_of(error).split()) or type(error).__name__


def _described(found: object) -> str:
    if isinstance(found, Words):
        return str(found)
    return 'none' if found is None else repr(found)
