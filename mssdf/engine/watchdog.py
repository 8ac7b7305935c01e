"""Watchdog over the ranks: a rank that died or hangs ends the job and is named.

Every rank reports, through a small store on rank 0, the iteration and the phase of its training
thread. On every rank, a thread reads all reports at intervals. It needs neither the process group
nor the device, so it also works while the training thread is blocked in a collective that never
returns. No exception reaches a blocked thread, so the process then ends by ``os._exit``.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from torch import distributed

from mssdf.distributed import from_main_process
from mssdf.engine.interruption import current_request

from .phases import CHECKPOINT, DATA, END, EVALUATION, HOOKS, START, VALIDATION, activity

#: Phases in which the other ranks may wait a long time for one rank.
LONG = (START, CHECKPOINT, EVALUATION, VALIDATION, HOOKS)
FAILED = 'failed'
GAVE_UP = 'ended because of another rank'
#: Exit code of a rank that ends because of another one.
BROKEN = 1


@dataclass
class Beat:
    """A report of one rank on itself.

    Attributes:
        number: number of the beat, which rises with every beat.
        iteration: number of completed iterations.
        phase: name of the phase, from :mod:`mssdf.engine.phases` or one of the two names above.
        age: seconds since the phase began.
        host: name of the machine.
        pid: process id on that machine.
        stop: number of the signal that asked the rank to stop; 0 if none did.
        note: text of the error if the rank failed; the verdict if it gave up; else empty.
    """

    number: int
    iteration: int
    phase: str
    age: float
    host: str
    pid: int
    stop: int = 0
    note: str = ''


def describe(rank: int, beat: Beat | None) -> str:
    """Name a rank, the machine and process that it runs in, and its position in training."""
    if beat is None:
        return f'rank {rank}'
    return (
        f'rank {rank} (host {beat.host}, process {beat.pid}, after iteration {beat.iteration}, '
        f'{beat.phase})'
    )


def alive(beat: Beat) -> bool:
    """Tell whether the process exists, as far as this machine can tell."""
    if beat.host != socket.gethostname():
        return True
    try:
        os.kill(beat.pid, 0)
        with open(f'/proc/{beat.pid}/stat') as file:
            return file.read().rpartition(')')[2].split()[0] not in 'ZX'
    except ProcessLookupError:
        return False
    except OSError:  # no /proc, or another user's
        return True


def find_culprit(
    beats: Mapping[int, Beat | None],
    silences: Mapping[int, float],
    silence: float,
    timeout: float,
    long_timeout: float,
    is_alive: Callable[[Beat], bool] = alive,
) -> str | None:
    """Judge the state of the job from the beats of all ranks.

    Args:
        beats: last beat of each rank; None before its first.
        silences: seconds since the last beat of each rank arrived.
        silence: seconds without a beat after which a rank counts as dead or stopped.
        timeout: seconds that a rank may wait for data, or that all ranks may be in one step.
        long_timeout: seconds that one rank may spend in a long phase (checkpoint, evaluation).
        is_alive: function that tells whether the process of a beat exists.

    Returns:
        One line that names the rank at fault and the fault; None if nothing is wrong.
    """
    for rank, beat in beats.items():
        if beat is not None and beat.phase == FAILED:
            return f'{describe(rank, beat)}: {beat.note}'

    for beat in beats.values():
        if beat is not None and beat.phase == GAVE_UP:
            return beat.note  # the first verdict names the cause; later faults follow from it

    for rank, beat in beats.items():
        if beat is not None and beat.phase != END and not is_alive(beat):
            return f'{describe(rank, beat)} is dead: its process is gone'

    for rank, beat in beats.items():
        if silences[rank] > silence and (beat is None or beat.phase != END):
            return (
                f'{describe(rank, beat)} is dead or stopped: no sign of life for '
                f'{silences[rank]:.0f} s'
            )

    # Only one rank may be busy with something long (a checkpoint, an evaluation): the others wait.
    there = {rank: beat for rank, beat in beats.items() if beat is not None and beat.phase != END}
    for rank, beat in there.items():
        if beat.phase in LONG and beat.age > long_timeout:
            return f'{describe(rank, beat)} hangs: in this phase for {beat.age:.0f} s'
    if any(beat.phase in LONG for beat in there.values()):
        return None  # the other ranks wait for this one

    for rank, beat in there.items():
        if beat.phase == DATA and beat.age > timeout:
            return f'{describe(rank, beat)} hangs: in this phase for {beat.age:.0f} s'

    if there and all(beat.age > timeout for beat in there.values()):
        # A collective does not return: the rank with the fewest iterations holds the others up.
        rank = min(there, key=lambda rank: (there[rank].iteration, -there[rank].age))
        age = there[rank].age
        if all(beat.iteration == there[rank].iteration for beat in there.values()):
            return (
                f'all ranks hang in the step after iteration {there[rank].iteration}, for '
                f'{age:.0f} s'
            )
        return f'{describe(rank, there[rank])} hangs: in this phase for {age:.0f} s'

    return None


def connect() -> Any:
    """Open a store on a free port of rank 0 that serves the beats alone."""
    rank = distributed.get_rank()
    timeout = timedelta(seconds=300)
    host = os.environ.get('MASTER_ADDR') or '127.0.0.1'
    port, store = 0, None
    if rank == 0:
        store = distributed.TCPStore(
            host, 0, is_master=True, wait_for_workers=False, timeout=timeout
        )
        port = store.port

    port = from_main_process(port)
    if store is None:
        store = distributed.TCPStore(
            host, port, is_master=False, wait_for_workers=False, timeout=timeout
        )

    return store


class Watchdog:
    """A thread that reports on this rank and one that watches all ranks.

    Args:
        interval: seconds between two beats.
        silence: seconds without a beat after which a rank counts as dead or stopped.
        timeout: seconds that a rank may wait for data, or that all ranks may be in one step.
        long_timeout: seconds that one rank may spend in a long phase (checkpoint, evaluation).
    """

    def __init__(
        self,
        interval: float = 5.0,
        silence: float = 120.0,
        timeout: float = 600.0,
        long_timeout: float = 3600.0,
    ) -> None:
        self.interval = interval
        self.silence = silence
        self.timeout = timeout
        self.long_timeout = long_timeout
        self.rank, self.world_size = distributed.get_rank(), distributed.get_world_size()
        self.beats: dict[int, Beat | None] = dict.fromkeys(range(self.world_size))
        self._store = connect()
        self._arrived = dict.fromkeys(range(self.world_size), time.monotonic())
        self._number = 0
        self._note = self._verdict = ''
        self._broken = False
        self._ended = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start to report and to watch, in two threads.

        A store that hangs then blocks the reports only, and the watch goes on.
        """
        for target in (self._beat_on, self._look_on):
            threading.Thread(target=target, name='watchdog', daemon=True).start()

    def stop(self) -> None:
        """Tell the other ranks that this one has ended as planned, and stop watching.

        Rank 0 holds the store. It waits until the others have stopped too, for at most ``silence``
        seconds.
        """
        activity.enter(END)
        self._ended.set()
        self._within(2.0, self._exchange)
        self._within(2.0, lambda: self._store.add('ended', 1))

        if self.rank == 0:
            deadline = time.monotonic() + self.silence
            while time.monotonic() < deadline and self._store.add('ended', 0) < self.world_size:
                time.sleep(0.05)

    def fail(self, error: BaseException) -> str | None:
        """Tell the other ranks that this one fails, or find the rank that failed before it.

        Returns:
            The fault of another rank, if this rank's error follows from it; else None.
        """
        if is_broken_communication(error):  # another rank is gone, which shows within two beats
            deadline = time.monotonic() + 2 * self.interval + 2
            while time.monotonic() < deadline:
                found = self._judge()
                if found:
                    self.give_up(found)
                    return found
                time.sleep(min(0.2, self.interval))

        lines = [line for line in str(error).splitlines() if line.strip()] or ['']
        self._note = f'{type(error).__name__}: {lines[0]}'
        self._ended.set()
        self._within(2.0, self._exchange)

        if self.rank == 0:  # the others read the error from the store on rank 0
            time.sleep(2 * self.interval)
        return None

    def give_up(self, found: str) -> None:
        """Stay until the other ranks have reached a verdict, as they would blame this one."""
        self._ended.set()
        self._verdict = found
        self._within(2.0, self._exchange)
        time.sleep(2 * self.interval)

    def _mine(self) -> Beat:
        """Make the next beat of this rank."""
        self._number += 1
        phase = FAILED if self._note else GAVE_UP if self._verdict else activity.phase
        stop = current_request()
        return Beat(
            number=self._number,
            iteration=activity.iteration,
            phase=phase,
            age=time.monotonic() - activity.since,
            host=socket.gethostname(),
            pid=os.getpid(),
            stop=stop.signum if stop else 0,
            note=self._note or self._verdict,
        )

    def _exchange(self) -> None:
        """Store this rank's beat and read the beats of all ranks that have begun."""
        with self._lock:
            self._store.set(f'beat/{self.rank}', json.dumps(asdict(self._mine())))
            begun = [
                rank
                for rank, beat in self.beats.items()
                if beat is not None or self._store.check([f'beat/{rank}'])
            ]
            contents = self._store.multi_get([f'beat/{rank}' for rank in begun])
            now = time.monotonic()
            for rank, content in zip(begun, contents, strict=True):
                beat, before = Beat(**json.loads(content)), self.beats[rank]
                if before is None or before.number != beat.number:
                    self.beats[rank], self._arrived[rank] = beat, now

    def _within(self, seconds: float, act: Callable[[], Any]) -> None:
        """Run a function, and wait for it no longer than some seconds.

        A store that is gone or hangs does not hold up this thread.
        """

        def attempt() -> None:
            with suppress(Exception):
                act()

        thread = threading.Thread(target=attempt, daemon=True)
        thread.start()
        thread.join(seconds)

    def _beat_on(self) -> None:
        """Report at intervals until the watch ends or rank 0 is gone."""
        while True:
            try:
                self._exchange()
            except Exception:  # torch raises several types when rank 0 is gone
                self._broken = self.rank != 0
                return
            if self._ended.wait(self.interval):
                return

    def _judge(self) -> str | None:
        """Judge the job from the beats that this rank has received."""
        if self._broken:
            return f'{describe(0, self.beats[0])} is dead: it has closed its connections'

        now = time.monotonic()
        silences = {rank: now - arrived for rank, arrived in self._arrived.items()}
        silences[self.rank] = 0.0

        beats = self.beats
        if self.rank and min(v for r, v in silences.items() if r != self.rank) > self.silence:
            beats = {0: beats[0]}  # all beats come through rank 0's store, so rank 0 is to blame
        return find_culprit(beats, silences, self.silence, self.timeout, self.long_timeout)

    def _look_on(self) -> None:
        """Judge the job at intervals; end this process once a rank is at fault."""
        while not self._ended.wait(self.interval):
            stop = current_request()
            if stop is not None and not stop.signum:
                if any(beat is not None and beat.stop for beat in self.beats.values()):
                    os.kill(os.getpid(), signal.SIGUSR1)  # so all ranks stop
            found = self._judge()
            if found and not self._ended.is_set():
                self.give_up(found)
                end_now(self.rank, found)


def is_broken_communication(error: BaseException) -> bool:
    """Tell whether an error comes from communication and so from another rank."""
    if isinstance(error, distributed.DistError):
        return True
    words = ('gloo', 'nccl', 'connection', 'socket', 'timed out', 'process group', 'store')
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)


def end_now(rank: int, found: str) -> None:
    """Report the fault and end this process, even if its main thread is blocked."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    where = ''.join(traceback.format_stack(frame, limit=3)) if frame else ''
    report(f'rank {rank} ends: {found}\nrank {rank} was here:\n{where.rstrip()}')
    os._exit(BROKEN)


def report(message: str) -> None:
    """Write to the standard error without taking locks that another thread may hold."""
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f'\n{message}\n'.encode())


_current: Watchdog | None = None


def watch(**settings: float) -> None:
    """Start to watch the ranks."""
    global _current
    _current = Watchdog(**settings)
    _current.start()


def end_watch() -> None:
    """End the watch as planned; without a watch, do nothing."""
    global _current
    if _current is not None:
        _current.stop()
        _current = None


def tell_the_others(error: BaseException) -> None:
    """Report an error of this rank, or name the rank that failed before it.

    In the latter case, the process ends here: its process group is broken and cannot be left.
    """
    if _current is None:
        return
    found = _current.fail(error)
    if found:
        lines = [line for line in str(error).splitlines() if line.strip()] or ['']
        report(f'rank {_current.rank} ends: {found}\n({type(error).__name__}: {lines[0]})')
        os._exit(BROKEN)
