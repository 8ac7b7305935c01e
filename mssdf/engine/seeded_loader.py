"""Random numbers of a sample from its place in training, for any dataset."""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler

from mssdf.utils.randomness import preserved_rng

SAMPLES = 2  # keeps the draws of samples apart from those of iterations
SETTINGS = (
    'num_workers',
    'collate_fn',
    'pin_memory',
    'timeout',
    'worker_init_fn',
    'multiprocessing_context',
    'generator',
    'prefetch_factor',
    'persistent_workers',
)


class SeededIndex(int):
    """An index with its place in training.

    Args:
        index: index of the sample.
        epoch: epoch in which it is drawn; 0 where the sampler knows no epoch.
        place: number of indices that the sampler gave before it in the epoch.
    """

    epoch: int
    place: int

    def __new__(cls, index: int, epoch: int = 0, place: int = 0) -> 'SeededIndex':
        """Make the index and attach its place."""
        self = super().__new__(cls, index)
        self.epoch, self.place = epoch, place
        return self


class SeededSampler(Sampler[SeededIndex]):
    """A sampler that attaches to each index its place, and otherwise acts as the wrapped one.

    Args:
        sampler: sampler of integers.
    """

    def __init__(self, sampler: Any) -> None:
        self.sampler = sampler
        self._first = 0

    def __iter__(self) -> Iterator[SeededIndex]:
        first, self._first = self._first, 0
        epoch = getattr(self.sampler, 'epoch', 0)
        for place, index in enumerate(self.sampler, first):
            yield SeededIndex(index, epoch, place)

    def __len__(self) -> int:
        return len(self.sampler)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__dict__['sampler'], name)
        return self._skip if name == 'skip' else value

    def _skip(self, num_samples: int) -> None:
        """Start after some indices, as MMEngine's sampler of iterations does on resuming."""
        self.sampler.skip(num_samples)
        self._first = num_samples


class SeededDataset(Dataset):
    """A dataset that seeds Python, NumPy and PyTorch for each sample from its place in training.

    Samples of plain indices are drawn unseeded. Otherwise it acts as the wrapped dataset.

    Args:
        dataset: dataset whose transforms draw random numbers.
        seed: seed of the run.
        rank: rank of this process.
    """

    def __init__(self, dataset: Any, seed: int, rank: int) -> None:
        self.dataset = dataset
        self.entropy = (seed, SAMPLES, rank)

    def __getitem__(self, index: int) -> Any:
        if not isinstance(index, SeededIndex):
            return self.dataset[index]
        with preserved_rng(*self.entropy, index.epoch, index.place):
            return self.dataset[int(index)]

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        if name == 'dataset' or name.startswith('__'):  # while it is copied to a process
            raise AttributeError(name)
        return getattr(self.dataset, name)


def seeded_loader(loader: DataLoader, seed: int, rank: int) -> DataLoader:
    """Copy a data loader so that the random draws of its samples follow from their place.

    Args:
        loader: data loader from which nothing has been read.
        seed: seed of the run.
        rank: rank of this process.

    Returns:
        The copy, with the same order; the loader itself where a sampler yields more than integers,
        as in pre-training, whose datasets seed by themselves.
    """
    batches: Any = loader.batch_sampler
    if not hasattr(batches, 'sampler') or hasattr(batches.sampler, 'set_start'):
        return loader
    dataset = SeededDataset(loader.dataset, seed, rank)
    settings = {name: getattr(loader, name) for name in SETTINGS}
    sampler = SeededSampler(batches.sampler)
    if type(batches) is BatchSampler:
        return DataLoader(
            dataset,
            batch_size=batches.batch_size,
            drop_last=batches.drop_last,
            sampler=sampler,
            **settings,
        )
    batches.sampler = sampler
    return DataLoader(dataset, batch_sampler=batches, **settings)
