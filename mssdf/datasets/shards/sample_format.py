"""One window of all its modalities as bytes, and back, without loss.

The bytes are, in this order:

| bytes | what |
|---|---|
| 4 | ``MSD1`` |
| 4 | CRC-32 of all that follows, uint32, little endian |
| 4 | length of the header, uint32 |
| 4 | zero |
| … | header, JSON in UTF-8, filled up with spaces to a multiple of 8 |
| … | arrays, each from a multiple of 8: images as (C, H, W), little endian; validity as bits |

The header has ``scene``, ``window`` (row, column, height, width), ``crs`` (WKT or an EPSG code),
``transform`` (six numbers, rasterio's order), ``files`` and ``arrays``: modality to ``dtype``,
``bands``, ``image`` and ``valid``, both ``[first byte, number of bytes]`` counted from the end of
the header. A ``valid`` of null means that all pixels are valid.
"""

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = b'MSD1'
HEAD = struct.Struct('<4sIII')
CHECKED = 8  # where that which the checksum covers begins
ALIGN = 8
DTYPES = ('uint8', 'uint16', 'int16', 'float32')
KEYS = ('images', 'valid', 'scene', 'window', 'crs', 'transform', 'files')


class BrokenSampleError(OSError):
    """Bytes that are no sample, or no longer the one that was written."""


def encode_sample(sample: Mapping[str, Any]) -> bytes:
    """Make bytes of a window.

    Args:
        sample: ``images`` (modality to (C, H, W) of uint8, uint16, int16 or float32), ``valid``
            (modality to (H, W) bool; a modality without one is valid throughout), ``scene``,
            ``window`` (row, column, height, width), ``crs`` (WKT or EPSG code), ``transform``
            (six numbers, of the window's first pixel) and ``files`` (modality to path). Invalid
            pixels are written as zero. Modalities that the window lacks are left out.

    Raises:
        KeyError: on a key that is missing or does not exist.
        ValueError: on an array that does not fit, or a valid pixel that is not finite.
    """
    wrong = sorted(set(KEYS) ^ set(sample))
    if wrong:
        raise KeyError(f'sample: expected the keys {KEYS}, found a difference in {wrong}')
    where = f'{sample["scene"]} {tuple(sample["window"])}'
    row, col, height, width = (int(value) for value in sample['window'])
    transform = [float(value) for value in tuple(sample['transform'])[:6]]
    if len(transform) != 6:
        raise ValueError(f'{where}: expected a transform of 6 numbers, found {transform}')
    if not sample['images'] or not set(sample['valid']) <= set(sample['images']):
        raise ValueError(
            f'{where}: expected one image at least and validity of images alone, found images '
            f'{sorted(sample["images"])}, valid {sorted(sample["valid"])}'
        )

    parts: list[bytes] = []
    arrays = {}
    for modality, image in sample['images'].items():
        valid = sample['valid'].get(modality)
        image, valid = _check(f'{where} {modality}', image, valid, (height, width))
        entry: dict[str, Any] = dict(dtype=image.dtype.name, bands=len(image))
        planes = np.ascontiguousarray(image)
        entry['image'] = _append(parts, planes.astype(planes.dtype.newbyteorder('<')).tobytes())
        entry['valid'] = None if valid is None else _append(parts, np.packbits(valid).tobytes())
        arrays[modality] = entry

    header = dict(
        scene=str(sample['scene']),
        window=[row, col, height, width],
        crs=str(sample['crs']),
        transform=transform,
        files={m: str(path) for m, path in sample['files'].items()},
        arrays=arrays,
    )
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % ALIGN)
    checked = b''.join([struct.pack('<II', len(text), 0), text, *parts])
    return struct.pack('<4sI', MAGIC, zlib.crc32(checked)) + checked


def decode_sample(data: bytes | memoryview) -> dict[str, Any]:
    """Decode a window from its bytes.

    Args:
        data: bytes that :func:`encode_sample` returned.

    Returns:
        The sample, with ``images`` in views (C, H, W) of the bytes, which cannot be written to, and
        ``valid`` of every modality that is there.

    Raises:
        BrokenSampleError: when a byte differs from what was written.
    """
    view = memoryview(data)
    if len(view) < HEAD.size:
        raise BrokenSampleError(f'expected a sample, found {len(view)} bytes')
    magic, checksum, length, _ = HEAD.unpack_from(view)
    body = view[HEAD.size :]
    if magic != MAGIC:
        raise BrokenSampleError(f'expected a sample that begins with {MAGIC!r}, found {magic!r}')
    if zlib.crc32(view[CHECKED:]) != checksum:
        raise BrokenSampleError('expected the checksum of the sample as written, found another')
    header = json.loads(bytes(body[:length]))

    arrays, blobs = header.pop('arrays'), body[length:]
    height, width = header['window'][2:]
    images, valid = {}, {}
    for modality, entry in arrays.items():
        if entry['dtype'] not in DTYPES or entry['bands'] < 1 or min(height, width) < 1:
            raise BrokenSampleError(
                f'{modality}: expected bands of one of {DTYPES}, found {entry}, {height} x {width}'
            )
        dtype = np.dtype(entry['dtype']).newbyteorder('<')
        planes = np.frombuffer(_part(blobs, entry['image']), dtype=dtype)
        planes = planes.reshape(entry['bands'], height, width)
        images[modality] = planes.astype(entry['dtype'], copy=False)
        if entry['valid'] is None:
            valid[modality] = np.ones((height, width), dtype=bool)
        else:
            bits = np.frombuffer(_part(blobs, entry['valid']), dtype=np.uint8)
            flat = np.unpackbits(bits, count=height * width).view(bool)
            valid[modality] = flat.reshape(height, width)

    return dict(
        header,
        images=images,
        valid=valid,
        window=tuple(header['window']),
        transform=tuple(header['transform']),
    )


def _check(
    where: str, image: NDArray, valid: NDArray[np.bool_] | None, size: tuple[int, int]
) -> tuple[NDArray, NDArray[np.bool_] | None]:
    """Check an image and make it zero where it is invalid; validity is None if all is valid."""
    if image.ndim != 3 or image.shape[1:] != size or image.dtype.name not in DTYPES:
        raise ValueError(
            f'{where}: expected (C, H, W) = (…, {size[0]}, {size[1]}) of one of {DTYPES}, found '
            f'{image.shape} {image.dtype}'
        )
    if valid is not None and (valid.shape != size or valid.dtype != bool):
        raise ValueError(f'{where}: expected a bool validity {size}, found {valid.shape}')
    if valid is not None and not valid.all():
        image = np.where(valid, image, image.dtype.type(0))
    else:
        valid = None
    if image.dtype.kind == 'f' and not np.isfinite(image).all():
        raise ValueError(f'{where}: expected finite values at valid pixels, found NaN or infinity')
    return image, valid


def _append(parts: list[bytes], blob: bytes) -> list[int]:
    first = sum(map(len, parts))
    parts.append(blob + bytes(-len(blob) % ALIGN))
    return [first, len(blob)]


def _part(blobs: memoryview, span: list[int]) -> memoryview:
    return blobs[span[0] : span[0] + span[1]]
