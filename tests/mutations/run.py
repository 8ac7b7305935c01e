"""Apply one mutation after another to a copy of the project and see whether its tests notice.

    python tests/mutations/run.py [--only WORD ...] [--jobs N] [--skip-baseline]

PyTorch and its like are loaded once, and each mutation is a fork that then imports the mutated
package. A mutation is killed when a named test fails, survives when all pass. The exit status is 0
if at least ``--least`` of a hundred are killed, 1 if fewer are, 2 if the list does not fit.
"""

import argparse
import compileall
import importlib
import os
import py_compile
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mutation_list import ROOT, Mutation, load_mutations, problems

COPIED = ('mssdf', 'configs', 'tools', 'tests', 'requirements', 'pyproject.toml')
PRELOADED = (
    *('numpy', 'scipy.stats', 'sklearn.metrics', 'sklearn.neighbors', 'cv2', 'rasterio', 'pytest'),
    *('rasterio.warp', 'torch', 'torchvision', 'mmengine.runner', 'mmcv.transforms'),
    *('mmpretrain.models', 'mmpretrain.datasets', 'mmseg.models', 'mmseg.datasets'),
)
PASSED, FAILED, NOTHING_COLLECTED = 0, 1, 5  # of pytest


@dataclass
class Worker:
    """A copy of the project in which one mutation at a time is tried.

    Attributes:
        folder: holds the copy and what its tests write.
        pid: process of the tests that run, 0 without any.
        task: mutation that runs; None for the project as it is.
        tests: test files that run.
        started: when they were started.
    """

    folder: Path
    pid: int = 0
    task: Mutation | None = None
    tests: tuple[str, ...] = ()
    started: float = 0.0

    @property
    def tree(self) -> Path:
        """The copy."""
        return self.folder / 'project'

    def copy_project(self) -> None:
        """Copy the project; the data of the tests are linked."""
        ignored = shutil.ignore_patterns('__pycache__', 'data', '*.pyc')
        for name in COPIED:
            source, target = ROOT / name, self.tree / name
            if source.is_dir():
                # only the tests' own data are large; the package may have a folder of that name
                shutil.copytree(source, target, ignore=ignored if name == 'tests' else None)
            elif source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
        (self.tree / 'tests/data').symlink_to(ROOT / 'tests/data')
        # by content: a mutation may have the size and the second of what it replaces
        by_content = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(self.tree / 'mssdf', quiet=2, invalidation_mode=by_content)

    def start(self, task: Mutation | None, tests: Sequence[str]) -> None:
        """Run tests on the project, with a mutation or without."""
        self.task, self.tests, self.started = task, tuple(tests), time.monotonic()
        if task is not None:
            path = self.tree / task.file
            path.write_text(task.apply((ROOT / task.file).read_text()))
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(self._run_tests())

    def _run_tests(self) -> int:
        """Run in the child; returns pytest's exit status."""
        os.setsid()
        os.chdir(self.tree)
        log = os.open(self.folder / 'log', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.environ['PYTHONPATH'] = str(self.tree)
        sys.path[:] = [str(self.tree), *(entry for entry in sys.path if entry != str(ROOT))]
        try:
            import pytest

            temporary = self.folder / 'pytest'
            shutil.rmtree(temporary, ignore_errors=True)
            options = ['-x', '-q', '-p', 'no:cacheprovider', f'--basetemp={temporary}']
            status = int(pytest.main([*options, '--rootdir', str(self.tree), *self.tests]))
            package = sys.modules.get('mssdf')
            if package is not None and not str(package.__file__).startswith(str(self.tree)):
                print(f'mssdf was imported from {package.__file__}')
                return 99
            return status
        except BaseException as error:  # a mutation may raise anything while it is imported
            print(repr(error))
            return FAILED

    def ended(self, limit: float) -> int | None:
        """Exit status once the tests have ended, None before; too long counts as failed."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        late = pid == 0 and time.monotonic() - self.started > limit
        if pid == 0 and not late:
            return None
        try:
            os.killpg(self.pid, signal.SIGKILL)  # with whatever the tests have left running
        except ProcessLookupError:
            pass
        if late:
            os.waitpid(self.pid, 0)
        if self.task is not None:
            shutil.copy(ROOT / self.task.file, self.tree / self.task.file)
        self.pid = 0
        return FAILED if late or os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)

    def last_lines(self, count: int = 25) -> str:
        """End of what the tests said."""
        text = (self.folder / 'log').read_text(errors='replace')
        return '\n'.join(text.splitlines()[-count:])


def preload() -> None:
    """Import what takes long, and nothing of the project."""
    for name in PRELOADED:
        try:
            importlib.import_module(name)
        except ImportError:  # an optional package: its tests skip themselves
            pass
    loaded = sorted(name for name in sys.modules if name.split('.')[0] == 'mssdf')
    if loaded:
        raise SystemExit(f'expected mssdf not to be imported yet, found {loaded[:3]}')


def run_all(
    tasks: Iterable[tuple[Mutation | None, Sequence[str]]], workers: list[Worker], limit: float
) -> Iterable[tuple[Worker, int, float]]:
    """Give out the tasks; yields the worker, the exit status and the seconds of each."""
    waiting = list(tasks)[::-1]
    while waiting or any(worker.pid for worker in workers):
        for worker in workers:
            if worker.pid:
                status = worker.ended(limit)
                if status is None:
                    continue
                yield worker, status, time.monotonic() - worker.started
            if waiting and not worker.pid:
                worker.start(*waiting.pop())
        time.sleep(0.05)


def check_baseline(mutations: Sequence[Mutation], workers: list[Worker], limit: float) -> bool:
    """Run the named tests on the project as it is; tells whether all pass."""
    files = sorted({test for mutation in mutations for test in mutation.tests})
    good = True
    for worker, status, seconds in run_all([(None, [file]) for file in files], workers, limit):
        if status != PASSED:
            good = False
            print(f'{worker.tests[0]}: status {status}\n{worker.last_lines()}')
        else:
            print(f'passes   {seconds:4.0f} s  {worker.tests[0]}', flush=True)
    return good


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', nargs='+', help='words, one of which a mutation must contain')
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1, help='at the same time')
    parser.add_argument('--limit', type=float, default=600, help='seconds for one, then killed')
    parser.add_argument('--least', type=float, default=90, help='percent that must be killed')
    parser.add_argument('--skip-baseline', action='store_true', help='trust that all tests pass')
    return parser.parse_args()


def main() -> int:
    """Run the mutations and say what became of them."""
    options = parse()
    mutations = load_mutations()
    wrong = list(problems(mutations))
    if wrong:
        print('\n'.join(wrong))
        return 2
    if options.only:
        mutations = [m for m in mutations if any(word in str(m) for word in options.only)]
    if not mutations:
        print(f'--only: no mutation contains any of {options.only}')
        return 2

    os.environ.setdefault('OMP_NUM_THREADS', '1')
    os.environ.setdefault('MPLBACKEND', 'Agg')
    preload()
    with tempfile.TemporaryDirectory(prefix='mutations-') as folder:
        workers = [Worker(Path(folder, str(i))) for i in range(max(1, options.jobs))]
        for worker in workers:
            worker.copy_project()
        if not options.skip_baseline and not check_baseline(mutations, workers, options.limit):
            return 2
        survivors, killed = [], Counter[str]()
        tasks = [(mutation, mutation.tests) for mutation in mutations]
        for worker, status, seconds in run_all(tasks, workers, options.limit):
            assert worker.task is not None
            if status in (NOTHING_COLLECTED, 99):
                print(f'{worker.task}: status {status}\n{worker.last_lines()}')
                return 2
            word = 'SURVIVED' if status == PASSED else 'killed'
            print(f'{word:8} {seconds:4.0f} s  {worker.task}', flush=True)
            if status == PASSED:
                survivors.append(worker.task)
            else:
                killed[worker.task.file] += 1
    return summarize(mutations, survivors, killed, options.least)


def summarize(
    mutations: Sequence[Mutation],
    survivors: Sequence[Mutation],
    killed: Counter[str],
    least: float,
) -> int:
    """Print the counts by file and the survivors; returns the exit status."""
    print('\nkilled of tried, by file')
    for file, count in sorted(Counter(mutation.file for mutation in mutations).items()):
        print(f'{killed[file]:4} of {count:3}  {file}')
    for mutation in survivors:
        print(f'survived: {mutation}')
    share = 100 * killed.total() / len(mutations)
    print(f'{killed.total()} of {len(mutations)} killed, {share:.1f} % (expected {least:g} %)')
    return 0 if share >= least else 1


if __name__ == '__main__':
    sys.exit(main())
