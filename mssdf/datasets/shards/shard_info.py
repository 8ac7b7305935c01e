"""A description of each shard, for the index of a data set."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ModalityInfo:
    """Bands, type and number of windows of one modality in a shard."""

    bands: int
    dtype: str
    samples: int


@dataclass(frozen=True)
class ShardInfo:
    """A shard as it was written; JSON-able by :meth:`to_dict`.

    Attributes:
        file: name of the file, without its folder.
        bytes: its size.
        samples: number of windows.
        window: height and width of each window, in pixels.
        modalities: those that any window has.
        config: LitData's description of how the file is encoded.
        sha256: digest of the file.
    """

    file: str
    bytes: int
    samples: int
    window: tuple[int, int]
    modalities: dict[str, ModalityInfo]
    config: dict[str, Any]
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain dicts, lists, strings and numbers."""
        return dict(asdict(self), window=list(self.window))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> 'ShardInfo':
        """Convert back from what :meth:`to_dict` returns.

        Raises:
            KeyError: on a key that is missing or does not exist.
        """
        wrong = sorted(set(cls.__dataclass_fields__) ^ set(content))
        if wrong:
            raise KeyError(
                f'shard info: expected the keys {list(cls.__dataclass_fields__)}, found a '
                f'difference in {wrong}'
            )
        height, width = content['window']
        return cls(
            file=str(content['file']),
            bytes=int(content['bytes']),
            samples=int(content['samples']),
            window=(int(height), int(width)),
            modalities={m: ModalityInfo(**info) for m, info in content['modalities'].items()},
            config=dict(content['config']),
            sha256=str(content['sha256']),
        )
