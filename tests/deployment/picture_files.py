"""Picture files of every kind that is decoded, and damaged ones."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


def jpegs(folder: Path, photo: Path) -> list[Path]:
    """Sampling, quality, progressive scans, restart markers, colour spaces, orientations, and odd sizes."""
    random = np.random.default_rng(0)
    image = Image.open(photo).convert("RGB")
    files = []

    def save(name: str, picture: Image.Image, **options: Any) -> None:
        files.append(folder / f"{name}.jpg")
        picture.save(files[-1], **options)

    for sampling in range(3):
        for progressive in (False, True):
            for quality in (5, 60, 98):
                width, height = (int(side) for side in random.integers(9, 190, 2))
                name = f"jpeg-{sampling}-{quality}-{progressive}"
                save(name, image.crop((0, 0, width, height)), subsampling=sampling, quality=quality, progressive=progressive)
        for width, height in ((1, 1), (2, 1), (3, 5), (17, 16), (900, 2), (2, 900)):
            noise = Image.fromarray(_noise(random, (height, width, 3)))
            save(f"noise-{sampling}-{width}x{height}", noise, subsampling=sampling, quality=95)
    for orientation in range(10):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(f"orientation-{orientation}", image.crop((0, 0, 90, 60)), exif=exif.tobytes())
    for progressive in (False, True):
        save(f"grey-{progressive}", image.convert("L"), progressive=progressive)
        save(f"cmyk-{progressive}", image.convert("CMYK"), progressive=progressive)
        save(f"restart-{progressive}", image, restart_marker_blocks=3, progressive=progressive)
    save("rgb", image, keep_rgb=True)
    contrast = Image.fromarray((_noise(random, (40, 40, 3)) > 127).astype(np.uint8) * 255)
    save("overflowing", contrast, quality=1)
    return files


def pngs(folder: Path) -> list[Path]:
    """Every colour type, depth and interlacing, with filters, transparency, and a gamma that must be ignored."""
    random = np.random.default_rng(1)
    files = []
    for colour, depths in _DEPTHS.items():
        for depth in depths:
            for interlaced in (False, True):
                for width, height in ((1, 1), (13, 9)):
                    files.append(folder / f"png-{colour}-{depth}-{interlaced}-{width}.png")
                    files[-1].write_bytes(_png(random, width, height, colour, depth, interlaced))
    return files


def others(folder: Path, photo: Path) -> list[Path]:
    """GIF (one frame, several, transparent, on another canvas, interlaced) and BMP files."""
    random = np.random.default_rng(2)
    image = Image.open(photo).convert("RGB").resize((61, 43))
    files = {
        name: folder / name for name in ("photo.gif", "animated.gif", "rows.gif", "clear.gif", "canvas.gif", "p.bmp", "q.bmp")
    }
    image.save(files["photo.gif"])
    Image.fromarray(_noise(random, (30, 40))).save(files["rows.gif"], interlace=1)
    frames = [image.rotate(angle) for angle in (90, 180)]
    image.save(files["animated.gif"], save_all=True, append_images=frames, duration=40)
    few = Image.fromarray(random.integers(0, 4, (10, 12)).astype(np.uint8))
    few.putpalette([*range(12)] + [0] * 756)
    few.save(files["clear.gif"], transparency=1)
    resized = bytearray(files["clear.gif"].read_bytes())
    resized[6:10] = struct.pack("<HH", 30, 5)
    files["canvas.gif"].write_bytes(resized)
    image.save(files["p.bmp"])
    image.crop((0, 0, 30, 7)).save(files["q.bmp"])
    return list(files.values())


def decoded_by_python(folder: Path, photo: Path) -> list[Path]:
    """Formats that TensorFlow does not decode: every kind of BMP and TIFF, WebP, AVIF, a JPEG without its end."""
    random = np.random.default_rng(5)
    image = Image.open(photo).convert("RGB").resize((61, 43))
    clear = image.copy()
    clear.putalpha(Image.fromarray(_noise(random, (43, 61))))
    files = []

    def save(name: str, picture: Image.Image, **options: Any) -> None:
        files.append(folder / name)
        picture.save(files[-1], **options)

    for colours in (2, 9, 200):
        save(f"palette-{colours}.bmp", image.quantize(colours))
    for mode in ("1", "L"):
        save(f"{mode}.bmp", image.convert(mode))
    save("clear.bmp", clear)
    files += _bmps(folder, random)
    for compression in (None, "tiff_lzw", "packbits", "tiff_adobe_deflate"):
        for mode in ("RGB", "L", "1", "CMYK", "LA"):
            save(f"{compression}-{mode}.tif", image.convert(mode), compression=compression)
        save(f"{compression}-palette.tif", image.quantize(40), compression=compression)
        save(f"{compression}-clear.tif", clear, compression=compression)
        deep = Image.fromarray(_noise(random, (9, 14)).astype(np.uint16) * 257)
        save(f"{compression}-deep.tif", deep, compression=compression)
    for compression in ("tiff_lzw", "tiff_adobe_deflate"):
        save(f"{compression}-differences.tif", image, compression=compression, tiffinfo={317: 2})
    save("pages.tif", image, save_all=True, append_images=[image.rotate(180)])
    save("lossless.webp", image, lossless=True)
    save("lossy.webp", image, quality=70)
    save("clear.webp", clear, quality=70)
    save("animated.webp", clear, save_all=True, append_images=[clear.rotate(180)], quality=70)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(f"turned-{orientation}.webp", image, exif=exif, lossless=True)
        save(f"turned-{orientation}.tif", image, tiffinfo={274: orientation})
    # Saturated colours are lost on the way to libyuv's, within a few 255ths.
    muted = image.point(lambda value: 60 + value // 2)
    for subsampling in ("4:2:0", "4:2:2", "4:4:4", "4:0:0"):
        for span in ("full", "limited"):
            name = f"{subsampling.replace(':', '')}-{span}.avif"
            save(name, muted, subsampling=subsampling, quality=85, range=span)
    save("turned.avif", muted, exif=exif)
    save("whole.jpg", image)
    files.append(folder / "cut.jpg")
    files[-1].write_bytes(files[-2].read_bytes()[:-2])
    return files


def damaged(folder: Path, sources: list[Path]) -> list[Path]:
    """Files that end too early, and what is no picture at all."""
    files = []
    for source in sources:
        data = source.read_bytes()
        for name, end in (("half", len(data) // 2), ("end", len(data) - 9), ("start", 20)):
            files.append(folder / f"{name}-{source.name}")
            files[-1].write_bytes(data[:end])
    others = {"text.jpg": b"not a picture", "empty.png": b"", "webp.jpg": b"RIFF\0\0\0\0WEBPVP8 ", "jxl.jpg": b"\xff\x0a\0\0"}
    for name, content in others.items():
        files.append(folder / name)
        files[-1].write_bytes(content)
    return files


def scratched(folder: Path, sources: list[Path], count: int) -> list[Path]:
    """JPEG files with wrong bytes in their entropy-coded data, which decoders go over without an error."""
    random = np.random.default_rng(3)
    files = []
    for number in range(count):
        source = sources[number % len(sources)]
        data = bytearray(source.read_bytes())
        start = data.index(b"\xff\xda") + 14
        if start >= len(data) - 4:
            continue
        # Never 0xFF: that would begin a marker, whose meaning decoders may see differently.
        data[int(random.integers(start, len(data) - 2))] = int(random.integers(0, 255))
        files.append(folder / f"scratched-{number}.jpg")
        files[-1].write_bytes(data)
    return files


def _bmps(folder: Path, random: np.random.Generator) -> list[Path]:
    """BMP files that Pillow does not write: few bits, masks, runs, rows from above, an old header."""
    width, height = 13, 9
    files = []

    def write(name: str, bits: int, compression: int, data: bytes, between: bytes = b"", size: int = 40) -> None:
        signed = -height if "above" in name else height
        start = 14 + size + len(between)
        header = struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start)
        header += struct.pack("<IiiHHIIiiII", size, width, signed, 1, bits, compression, len(data), 0, 0, 0, 0)
        files.append(folder / f"{name}.bmp")
        files[-1].write_bytes(header + between + data)

    def noise(bits: int) -> bytes:
        return _noise(random, ((width * bits + 31) // 32 * 4 * height,)).tobytes()

    palette = _noise(random, (64,)).tobytes()
    for place in ("below", "above"):
        write(f"four-{place}", 4, 0, noise(4), palette)
        write(f"sixteen-{place}", 16, 0, noise(16))
        write(f"sixteen-masks-{place}", 16, 3, noise(16), struct.pack("<3I", 0xF800, 0x7E0, 0x1F))
        write(f"thirty-two-{place}", 32, 0, noise(32))
        write(f"thirty-two-masks-{place}", 32, 3, noise(32), struct.pack("<3I", 0xFF000000, 0xFF0000, 0xFF00))
        rows = b"".join(bytes([5, 1, 0, 3, 2, 7, 9, 0, 5, 3, 0, 0]) for _ in range(height))
        write(f"runs-{place}", 8, 1, rows + b"\0\1", palette + bytes(960))
        rows = b"".join(bytes([5, 0x12, 0, 3, 0x45, 0x60, 5, 0x3F, 0, 0]) for _ in range(height))
        write(f"short-runs-{place}", 4, 2, rows + b"\0\1", palette)
    old = struct.pack("<2sIHHI", b"BM", 0, 0, 0, 26) + struct.pack("<IHHHH", 12, width, height, 1, 24)
    files.append(folder / "old.bmp")
    files[-1].write_bytes(old + noise(24))
    return files


def _noise(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return random.integers(0, 256, shape).astype(np.uint8)


def _png(random: np.random.Generator, width: int, height: int, colour: int, depth: int, interlaced: bool) -> bytes:
    rows = b""
    for x, y, across, down in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns = -(-(width - x) // across)
        if columns <= 0:
            continue
        stride = -(-columns * _CHANNELS[colour] * depth // 8)
        for row in range(max(-(-(height - y) // down), 0)):
            # Filters are of use, and tried here, for whole bytes only.
            rows += bytes([row % 5 if depth >= 8 and colour != 3 else 0]) + _noise(random, (stride,)).tobytes()
    packed = zlib.compress(rows)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    parts = [(b"IHDR", header), (b"gAMA", struct.pack(">I", 45455))]
    if colour == 3:
        parts += [(b"PLTE", _noise(random, (3 << depth,)).tobytes()), (b"tRNS", b"\x80\x10")]
    parts += [(b"IDAT", packed[:9]), (b"IDAT", packed[9:]), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
