# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import struct
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from seeclear.video.image_metadata import read_metadata
from seeclear.video.png import encode_chunk, read_chunks, with_chunks

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)


def save(path: Path, *chunks: tuple[bytes, bytes]) -> Path:
    info = PngInfo()
    for kind, data in chunks:
        info.add(kind, data)
    Image.fromarray(PIXELS).save(path, pnginfo=info)
    return path


def test_chunks_by_hand(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", (b"gAMA", struct.pack(">I", 45455)))
    data = path.read_bytes()
    new = with_chunks(data, [(b"gAMA", bytes(4)), (b"tEXt", b"a\0b"), (b"tEXt", b"c\0d"), (b"cICP", bytes(4))])
    path.write_bytes(new)
    kinds = [kind for kind, _ in read_chunks(path)]
    assert kinds == [b"IHDR", b"tEXt", b"tEXt", b"cICP", b"gAMA"]
    assert dict(read_chunks(path))[b"gAMA"] == struct.pack(">I", 45455)  # the one that is there stays
    np.testing.assert_array_equal(np.asarray(Image.open(path)), PIXELS)
    assert encode_chunk(b"IEND", b"") == bytes.fromhex("0000000049454e44ae426082")


def test_damaged_chunks_are_not_kept(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", (b"tEXt", b"a\0b"), (b"gAMA", struct.pack(">I", 100000)))
    data = bytearray(path.read_bytes())
    place = data.index(b"tEXta") + 4
    data[place] ^= 1
    path.write_bytes(data)
    assert [kind for kind, _ in read_chunks(path)][:1] == [b"IHDR"]
    assert not [kind for kind, _ in read_chunks(path) if kind == b"tEXt"]
    (tmp_path / "none").write_bytes(b"nothing of the kind")
    assert read_chunks(tmp_path / "none") == []
    assert read_metadata(save(tmp_path / "b.png")).as_chunks() == []
