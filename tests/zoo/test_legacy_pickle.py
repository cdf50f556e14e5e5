"""Checkpoints are read without running them."""

from __future__ import annotations

import os
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pybridge.errors import ModelFormatError
from pybridge.zoo.legacy_pickle import read_checkpoint
from pybridge.zoo.models import efficientnet_lite


def start() -> bytes:
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    return b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, machine))


def test_the_packaged_checkpoint_is_read() -> None:
    tensors = read_checkpoint(efficientnet_lite.checkpoint_path())
    assert len(tensors) == 296
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert tensors["_fc.weight"].dtype == np.float32
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())


class Attack:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, protocol: int) -> None:
    file = tmp_path / "attack.pth"
    file.write_bytes(start() + pickle.dumps(Attack(tmp_path / "ran"), protocol))
    with pytest.raises(ModelFormatError, match="not allowed"):
        read_checkpoint(file)
    assert not (tmp_path / "ran").exists()


def test_a_tensor_that_repeats_one_number_endlessly_is_refused(tmp_path: Path) -> None:
    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0kX\x03\0\0\0cpuK\x01Nt" + b"Q"
    sizes = b"(J\xff\xff\xff\x3fJ\xff\xff\xff\x3ft(K\0K\0t"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0" + sizes + b"\x89Nt" + b"R"
    state = b"\x80\x02}X\x01\0\0\0w" + tensor + b"s."
    file = tmp_path / "huge.pth"
    file.write_bytes(start() + state + pickle.dumps(["k"], 2) + (1).to_bytes(8, "little") + bytes(4))
    with pytest.raises(ModelFormatError, match="outside its storage"):
        read_checkpoint(file)


def test_damaged_checkpoints_give_clear_errors(tmp_path: Path) -> None:
    original = efficientnet_lite.checkpoint_path().read_bytes()[:60_000]
    file = tmp_path / "damaged.pth"
    chance = random.Random(0)
    for _ in range(60):
        data = bytearray(original)
        for _ in range(3):
            data[chance.randrange(47_000)] = chance.randrange(256)
        file.write_bytes(data[: chance.choice([len(data), chance.randrange(len(data))])])
        with pytest.raises(ModelFormatError):
            read_checkpoint(file)


def test_another_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "zip.pth"
    file.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(ModelFormatError):
        read_checkpoint(file)


def test_a_key_that_takes_forever_to_hash_is_refused(tmp_path: Path) -> None:
    doubling = b"\x80\x02})" + b"".join(b"q\x01h\x01\x86" for _ in range(100)) + b"K\x01s."
    file = tmp_path / "slow.pth"
    file.write_bytes(start() + doubling)
    with pytest.raises(ModelFormatError, match="tuple where str belongs"):
        read_checkpoint(file)
