"""Further attempts at a read that fails, as a network or a busy file server does at times."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from mssdf.errors import ConfigError

from .read_errors import READ_ERRORS, UnreadableFileError, is_lasting, read_reason

T = TypeVar('T')


def _say_nothing(path: str, attempt: int, reason: str) -> None:
    pass


@dataclass(frozen=True)
class RetryPolicy:
    """A number of attempts at a read, the wait in between, and a listener for recoveries.

    Attributes:
        attempts: number of attempts in all, 1...10.
        seconds: wait before the second attempt, 0...60 s; it doubles each time, so that three
            attempts with half a second wait 1.5 s in all.
        recovered: function that is called when a further attempt works, with the path, the number
            of that attempt and the reason of the failure before it.

    Raises:
        ValueError: if a number is out of range.
    """

    attempts: int = 3
    seconds: float = 0.5
    recovered: Callable[[str, int, str], None] = _say_nothing

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not 1 <= self.attempts <= 10:
            raise ConfigError('reading.attempts', '1 to 10', self.attempts)
        if not 0 <= self.seconds <= 60:
            raise ConfigError('reading.retry_seconds', '0 to 60', self.seconds)

    def once(self) -> 'RetryPolicy':
        """Return the policy that tries a single time."""
        return replace(self, attempts=1)

    def run(
        self, path: str, read: Callable[[], T], *, failed: Callable[[], None] = lambda: None
    ) -> T:
        """Read, and try again when that fails.

        Args:
            path: path of the file, for the error and for ``recovered``.
            read: function that reads.
            failed: function that is called after each failure, for instance to close the file.

        Returns:
            The result of the first attempt that works.

        Raises:
            UnreadableFileError: if the last attempt has failed, or a further one would not help.
        """
        reason = ''
        for attempt in range(1, self.attempts + 1):
            try:
                result = read()
            except READ_ERRORS as error:
                failed()
                reason = read_reason(path, error)
                if attempt == self.attempts or is_lasting(path, error):
                    raise UnreadableFileError(path, reason) from error
            else:
                if attempt > 1:
                    self.recovered(path, attempt, reason)
                return result

            time.sleep(self.seconds * 2 ** (attempt - 1))
        raise AssertionError('unreachable')
