"""Further attempts, against a read that fails a given number of times."""

import pytest

from mssdf.rasters import retries
from mssdf.rasters.read_errors import UnreadableFileError
from mssdf.rasters.retries import RetryPolicy


class Flaky:
    """A read that fails some times before it works."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.left, self.calls, self.error = failures, 0, error or OSError('busy')

    def __call__(self) -> str:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise self.error
        return 'pixels'


@pytest.fixture
def waits(monkeypatch):
    waits = []
    monkeypatch.setattr(retries.time, 'sleep', waits.append)
    return waits


@pytest.mark.parametrize('failures', [0, 1, 3])
def test_a_read_that_works_in_the_end(waits, failures):
    heard, closed, read = [], [], Flaky(failures)
    policy = RetryPolicy(4, 0.25, lambda *what: heard.append(what))
    assert policy.run('/vsi/a.tif', read, failed=lambda: closed.append(1)) == 'pixels'
    assert waits == [0.25, 0.5, 1.0][:failures]
    assert len(closed) == failures and read.calls == failures + 1
    assert heard == ([('/vsi/a.tif', failures + 1, 'busy')] if failures else [])


@pytest.mark.parametrize('policy', [RetryPolicy(2, 1.0), RetryPolicy(5, 1.0).once()])
def test_a_read_that_never_works_ends_with_the_last_attempt(waits, policy):
    read = Flaky(100)
    with pytest.raises(UnreadableFileError, match=r'/vsi/a\.tif: busy'):
        policy.run('/vsi/a.tif', read)
    assert read.calls == policy.attempts and waits == [1.0] * (policy.attempts - 1)


def test_what_lasts_is_not_tried_again(waits, tmp_path):
    (tmp_path / 'empty.tif').touch()
    for path, error, reason in (
        (tmp_path / 'missing.tif', OSError('busy'), 'no such file'),
        (tmp_path / 'empty.tif', OSError('busy'), 'the file is empty'),
        ('/vsi/a.tif', MemoryError('2 GB'), 'more memory than there is'),
    ):
        read = Flaky(1, error)
        with pytest.raises(UnreadableFileError, match=reason):
            RetryPolicy(3).run(str(path), read)
        assert read.calls == 1
    assert waits == []


def test_errors_of_another_kind_pass(waits):
    with pytest.raises(ValueError, match='bands'):
        RetryPolicy(3).run('a.tif', Flaky(1, ValueError('bands')))
    assert waits == []
