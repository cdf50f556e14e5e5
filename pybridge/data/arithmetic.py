"""JPEG files with arithmetic coding: Node.js decodes them, for its decoder gives the pixels that TensorFlow would."""

from __future__ import annotations

import subprocess

import numpy as np
from numpy.typing import NDArray

from pybridge.data.structure import MAX_PIXELS
from pybridge.errors import BridgeError, DataError
from pybridge.runtime.bundle import find_bundle
from pybridge.runtime.find_node import find_node
from pybridge.text import printable

_SECONDS = 120
_PROGRAM = """
const { decodeJpeg } = require(process.argv[1]);
const chunks = [];
process.stdin.on("data", (chunk) => chunks.push(chunk)).on("end", () => {
  try {
    const { width, height, pixels } = decodeJpeg(new Uint8Array(Buffer.concat(chunks)), Number(process.argv[2]));
    process.stdout.write(Buffer.concat([Buffer.from(Uint32Array.of(width, height).buffer), Buffer.from(pixels.buffer)]));
  } catch (error) {
    process.stderr.write(error.message);
    process.exitCode = 1;
  }
});
"""


def arithmetic_pixels(data: bytes, name: str) -> NDArray[np.uint8]:
    """The pixels of a JPEG file with arithmetic coding, to the bit those of the same file with Huffman coding.

    The EXIF orientation is not applied.

    Args:
        data: The whole file.
        name: Stands for the picture in error messages.

    Returns:
        uint8 of shape (height, width, 3).

    Raises:
        DataError: The file is damaged, or there is no Node.js.
    """
    try:
        decoder = find_bundle().node_runner / "package" / "lib" / "image" / "jpeg"
        command = [str(find_node().path), "-e", _PROGRAM, str(decoder), str(MAX_PIXELS)]
        done = subprocess.run(command, input=data, capture_output=True, timeout=_SECONDS)
    except (BridgeError, OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"{printable(name)} has arithmetic coding, which Node.js could not decode: {error}") from error
    if done.returncode != 0 or len(done.stdout) < 8:
        raise DataError(f"{printable(name)} is damaged: {printable(done.stderr.decode(errors='replace'))}")
    width, height = np.frombuffer(done.stdout[:8], np.uint32)
    return np.frombuffer(done.stdout, np.uint8, offset=8).reshape(height, width, 3)
