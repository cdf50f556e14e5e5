"""What the preprocessing program computes, against numpy and Pillow."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import pybridge as pb
from pybridge.data import ImageSet, Preprocessing
from pybridge.errors import DataError
from pybridge.features import FeatureExtractor
from pybridge.graphs import Program, TensorFlowProcess, programs_for, run_reference
from pybridge.runtime import ensure

STRETCH = Preprocessing(8, 12, mean=(0.0,), std=(1.0,))
CENTRE = Preprocessing(8, 12, crop="centre", crop_fraction=0.75, mean=(10.0, 20.0, 30.0), std=(2.0, 4.0, 8.0))
WHOLE = (0.0, 0.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def programs(tensorflow: TensorFlowProcess) -> dict[Preprocessing, Program]:
    return dict(zip((STRETCH, CENTRE), programs_for([STRETCH, CENTRE], ensure(), tensorflow), strict=True))


@pytest.fixture
def run(node: pb.Node, programs: dict[Preprocessing, Program]) -> Any:
    """Runs pictures, encoded or as pixels, through the program in Node."""

    def run(
        preprocessing: Preprocessing,
        images: list[bytes] | NDArray[np.uint8],
        orientations: list[int] | None = None,
        boxes: Any = None,
        flips: Any = None,
        brightness: Any = None,
    ) -> NDArray[np.float32]:
        count = len(images)
        view = [
            np.array(boxes if boxes is not None else [WHOLE] * count, np.float32),
            np.array(flips if flips is not None else [False] * count),
            np.array(brightness if brightness is not None else [1] * count, np.float32),
        ]
        handle = node.runner.call("program.load", programs[preprocessing].to_dict())
        files = isinstance(images, list)
        leading = [images, np.array(orientations or [1] * count, np.int32)] if files else [images]
        call = {"stages": [handle], "signature": "files" if files else "pixels", "inputs": [*leading, *view]}
        result: NDArray[np.float32] = node.runner.call("program.run", call)
        node.runner.call("program.dispose", {"program": handle})
        return result

    return run


def expected(
    pixels: NDArray[Any],
    preprocessing: Preprocessing,
    box: tuple[float, ...] = WHOLE,
    flip: bool = False,
    brightness: float = 1.0,
) -> NDArray[np.float64]:
    """The docstring of `Preprocessing`, in numpy."""
    target, size = (preprocessing.height, preprocessing.width), pixels.shape[:2]
    if preprocessing.crop == "centre":
        scale = min(size[0] / target[0], size[1] / target[1])
        kept = [scale * side * preprocessing.crop_fraction for side in target]
    else:
        kept = [side * preprocessing.crop_fraction for side in size]
    matrices = []
    for axis in (0, 1):
        start = (size[axis] - kept[axis]) / 2 + box[axis] * kept[axis]
        step = (box[axis + 2] - box[axis]) * kept[axis] / target[axis]
        centres = start + (np.arange(target[axis]) + 0.5) * step
        distances = np.abs(np.arange(size[axis]) + 0.5 - centres[:, None]) / max(step, 1)
        weights = np.maximum(1 - distances, 0)
        matrices.append(weights / weights.sum(axis=1, keepdims=True))
    resized = np.einsum("yi,xj,ijc->yxc", *matrices, pixels.astype(np.float64))
    if flip:
        resized = resized[:, ::-1]
    return (np.clip(resized * brightness, 0, 255) - np.array(preprocessing.mean)) / np.array(preprocessing.std)


def noise(height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(height * 100 + width).integers(0, 256, (height, width, channels)).astype(np.uint8)


def encoded(pixels: NDArray[np.uint8], kind: str = "PNG", mode: str | None = None, **options: Any) -> bytes:
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    stream = io.BytesIO()
    (picture.convert(mode) if mode else picture).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("preprocessing", [STRETCH, CENTRE], ids=["stretch", "centre"])
@pytest.mark.parametrize("size", [(8, 12), (31, 17), (5, 50), (4, 3), (1, 1)])
def test_pictures_of_any_size_are_cropped_resized_and_scaled(run: Any, preprocessing: Preprocessing, size: Any) -> None:
    pixels = noise(*size)
    result = run(preprocessing, [encoded(pixels)])
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[0], expected(pixels, preprocessing), atol=2e-3)


def test_files_of_different_sizes_go_in_one_batch(run: Any) -> None:
    pictures = [noise(9, 9), noise(20, 10), noise(7, 33)]
    result = run(STRETCH, [encoded(pixels) for pixels in pictures])
    for row, pixels in zip(result, pictures, strict=True):
        np.testing.assert_allclose(row, expected(pixels, STRETCH), atol=2e-3)


def test_pixels_and_lossless_files_give_equal_bits(run: Any) -> None:
    pixels = np.stack([noise(21, 19), noise(21, 19)[::-1]])
    np.testing.assert_array_equal(run(CENTRE, pixels), run(CENTRE, [encoded(each) for each in pixels]))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientations_are_undone_as_pillow_does(run: Any, orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    smooth = np.kron(np.arange(6).reshape(2, 3, 1) * [40, 20, 5], np.ones((16, 16, 1))).astype(np.uint8)
    data = encoded(smooth, "JPEG", quality=95, exif=exif, subsampling=0)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert upright.shape[:2] == ((32, 48) if orientation < 5 else (48, 32))
    result = run(STRETCH, [data], [orientation])
    np.testing.assert_allclose(result[0], expected(upright, STRETCH), atol=3)


@pytest.mark.parametrize(
    ("data", "reading"),
    [
        (encoded(noise(10, 10, 1)), "grey PNG"),
        (encoded(noise(10, 10), mode="RGBA"), "PNG with alpha"),
        (encoded(noise(10, 10), mode="P"), "PNG with a palette"),
        (encoded(noise(10, 10, 1), "GIF"), "GIF"),
        (encoded(noise(10, 10), "BMP"), "BMP"),
        (encoded(np.full((16, 16, 3), (200, 100, 50), np.uint8), "JPEG", quality=95), "JPEG"),
        (encoded(np.full((16, 16, 1), 90, np.uint8), "JPEG", quality=95), "grey JPEG"),
        (encoded(np.full((16, 16, 3), (200, 100, 50), np.uint8), "JPEG", mode="CMYK", quality=95), "CMYK JPEG"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_kind_of_file_is_read_as_pillow_reads_it(run: Any, data: bytes, reading: str) -> None:
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_allclose(run(STRETCH, [data])[0], expected(pixels, STRETCH), atol=3 if "JPEG" in reading else 2e-3)


def test_an_animated_gif_gives_its_first_frame(run: Any) -> None:
    frames = [Image.fromarray(np.full((10, 10), value, np.uint8)) for value in (200, 10, 90)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(run(STRETCH, [stream.getvalue()])[0], 200, atol=2e-3)


@pytest.mark.parametrize("preprocessing", [STRETCH, CENTRE], ids=["stretch", "centre"])
def test_boxes_are_shares_of_what_the_preprocessing_keeps(run: Any, preprocessing: Preprocessing) -> None:
    pixels, box = noise(40, 30), (0.1, 0.25, 0.8, 0.75)
    result = run(preprocessing, pixels[None], boxes=[box])
    np.testing.assert_allclose(result[0], expected(pixels, preprocessing, box), atol=2e-3)


def test_flips_and_brightness_belong_to_their_own_picture(run: Any) -> None:
    pixels = noise(20, 24)
    result = run(STRETCH, np.stack([pixels] * 3), flips=[True, False, True], brightness=[1.0, 1.9, 0.5])
    for row, flip, factor in zip(result, (True, False, True), (1.0, 1.9, 0.5), strict=True):
        np.testing.assert_allclose(row, expected(pixels, STRETCH, WHOLE, flip, factor), atol=2e-3)


def test_node_and_python_give_equal_bits_for_files_and_pixels(
    run: Any, programs: dict[Preprocessing, Program], tensorflow: TensorFlowProcess
) -> None:
    files = [encoded(noise(33, 27), "JPEG"), encoded(noise(5, 70)), encoded(noise(9, 9, 1), "BMP")]
    boxes, flips, brightness = [(0.1, 0.1, 0.9, 0.7)] * 3, [True, False, True], [1.1, 1.0, 0.7]
    in_node = run(CENTRE, files, [6, 1, 1], boxes, flips, brightness)
    view = [np.array(boxes, np.float32), np.array(flips), np.array(brightness, np.float32)]
    inputs = [files, np.array([6, 1, 1], np.int32), *view]
    (in_python,) = run_reference([programs[CENTRE]], "files", [inputs, inputs], tensorflow, keep=[0])
    np.testing.assert_array_equal(in_python, np.concatenate([in_node, in_node]))


def test_what_cannot_be_decoded_is_an_error_that_names_the_file(
    node: pb.Node, programs: dict[Preprocessing, Program], tmp_path: Path
) -> None:
    truncated = encoded(noise(64, 64), "JPEG")[:900]
    (tmp_path / "good.png").write_bytes(encoded(noise(9, 9)))
    (tmp_path / "bad.jpg").write_bytes(truncated)
    images = ImageSet([tmp_path / "good.png", tmp_path / "bad.jpg"], np.zeros(2, np.int32), ("a",))
    with pytest.raises(DataError, match=r"1 of 2 images cannot be decoded:\n.*bad\.jpg"):
        FeatureExtractor(node.runner).compute([programs[STRETCH]], images)
