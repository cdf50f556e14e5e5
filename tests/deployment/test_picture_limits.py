"""A picture that training takes is one that a service takes: the limits stand in two languages, and are the same in both."""

from __future__ import annotations

import json
import subprocess

from pybridge.data import encoded, formats, structure
from pybridge.deployment.server_options import server_options
from pybridge.runtime.bundle import find_bundle
from pybridge.runtime.find_node import find_node

# Of each format the shortest beginning that says so, and beginnings that only look like it.
BEGINNINGS = [
    b"\xff\xd8\xff\xe0",
    b"\xff\xd8\x00\xe0",
    b"\x89PNG\r\n\x1a\n",
    b"\x89PNG\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"GIF90a",
    *(
        b"BM" + bytes(12) + bytes([size, 0, 0, 0]) + bytes(10) + bytes([bits, 0, compression, 0]) + bytes(20)
        for size in (12, 40, 41, 124)
        for bits in (8, 24, 32)
        for compression in (0, 1)
    ),
    b"RIFF\0\0\0\0WEBP",
    b"\0\0\0\x20ftypmif1\0\0\0\0mif1avifmiafMA1B",
    b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic",
    b"\0\0\0\x18ftypisom\0\0\0\0isommp42",
    b"\xff\x0a",
    b"\0\0\0\x0cjP  \r\n",
    b"II*\0",
    b"\0\0\0\x1cftypavif",
    b"\0\0\0\x1cftypheic",
    b"8BPS",
    b"<svg>",
    b"",
    b"hello",
]


def javascript(program: str) -> str:
    folder = find_bundle().node_runner / "package" / "lib" / "image"
    program = f"const load = (name) => require({json.dumps(str(folder))} + '/' + name);\n{program}"
    return subprocess.run([find_node().path, "-e", program], capture_output=True, text=True, check=True, timeout=60).stdout


def test_the_largest_picture_is_the_same_in_training_package_and_server() -> None:
    pixels, bytes_ = json.loads(
        javascript("const d = load('decode.js'); console.log(JSON.stringify([d.MAX_PIXELS, d.MAX_BYTES]))")
    )
    assert pixels == encoded.MAX_PIXELS == server_options().limits["max_pixels"].maximum
    assert bytes_ == encoded.MAX_FILE_BYTES


def test_the_limits_of_what_a_picture_is_made_of_are_the_same_in_both_languages() -> None:
    names = ["MOST_SCANS", "MOST_PIXELS_IN_ALL", "MOST_FRAMES", "MOST_PARTS", "BYTES_OF_A_PART"]
    program = f"const found = load('structure.js'); console.log(JSON.stringify({json.dumps(names)}.map((name) => found[name])))"
    assert json.loads(javascript(program)) == [getattr(structure, name) for name in names]


def test_both_languages_tell_the_same_formats_from_the_first_bytes() -> None:
    program = f"""
    const {{ formatOf }} = load('format.js');
    console.log(JSON.stringify({json.dumps([data.hex() for data in BEGINNINGS])}.map((hex) => {{
      try {{ return formatOf(Buffer.from(hex, 'hex')).toUpperCase(); }} catch (error) {{ return null; }}
    }})));
    """
    found = [formats.sniff(data) for data in BEGINNINGS]
    assert json.loads(javascript(program)) == [
        ("BMP" if kind == formats.OTHER_BMP else kind.upper()) if kind in formats.READABLE else None for kind in found
    ]
