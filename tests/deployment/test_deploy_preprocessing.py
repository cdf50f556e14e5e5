"""The package's JavaScript prepares every picture as training's program does: to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import picture_files
import pytest
from PIL import Image
from service_project import Prepare

from pybridge.data import Preprocessing

STRETCH = Preprocessing(24, 32)
CENTRE = Preprocessing(
    40,
    30,
    crop="centre",
    crop_fraction=0.875,
    mean=(123.68, 116.78, 103.94),
    std=(58.4, 57.1, 57.4),
    channel_order="bgr",
)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth colours and sharp edges."""
    y, x = np.ogrid[:150, :200]
    waves = [128 + 120 * np.sin(x / 9 + y / 31), (x * y / 60) % 256, np.where((x // 16 + y // 12) % 2, 230, 20) + 0 * y]
    file = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray(np.stack(waves, axis=-1).clip(0, 255).astype(np.uint8)).save(file)
    return file


def differing(files: list[Path], prepare: Prepare, prepare_in_python: Prepare) -> list[str]:
    both = [STRETCH, CENTRE]
    ours, expected = prepare(files, both), prepare_in_python(files, both)
    found = {file: "refused" if isinstance(answer, str) else answer for file, answer in ours.items()}
    return [Path(file).name for file in expected if found[file] != expected[file]]


@pytest.mark.slow
def test_jpeg_files(tmp_path: Path, photo: Path, prepare: Prepare, prepare_in_python: Prepare) -> None:
    assert differing(picture_files.jpegs(tmp_path, photo), prepare, prepare_in_python) == []


def test_png_gif_and_bmp_files(tmp_path: Path, photo: Path, prepare: Prepare, prepare_in_python: Prepare) -> None:
    files = picture_files.pngs(tmp_path) + picture_files.others(tmp_path, photo)
    assert differing(files, prepare, prepare_in_python) == []


def test_files_that_python_decodes(tmp_path: Path, photo: Path, prepare: Prepare, prepare_in_python: Prepare) -> None:
    files = picture_files.decoded_by_python(tmp_path, photo)
    assert differing(files, prepare, prepare_in_python) == []
    assert "refused" not in prepare_in_python(files, [STRETCH]).values()


@pytest.mark.slow
def test_both_refuse_what_is_cut_off_or_no_picture(
    tmp_path: Path, photo: Path, prepare: Prepare, prepare_in_python: Prepare
) -> None:
    sources = [photo]
    for name in ("a.jpg", "b.jpg", "c.gif", "d.bmp", "e.webp", "f.tif", "g.avif"):
        sources.append(tmp_path / name)
        Image.open(photo).save(sources[-1], **({"progressive": True} if name == "b.jpg" else {}))
    (tmp_path / "cut").mkdir()
    files = picture_files.damaged(tmp_path / "cut", sources)
    ours, expected = prepare(files, [STRETCH]), prepare_in_python(files, [STRETCH])
    refused = {file for file, answer in expected.items() if answer == "refused"}
    assert len(refused) == len(files)
    assert {file for file, answer in ours.items() if isinstance(answer, str)} == refused
    assert {ours[file] for file in refused} == {"ERR_IMAGE_DAMAGED", "ERR_NOT_AN_IMAGE", "ERR_IMAGE_FORMAT"}


@pytest.mark.slow
def test_photos_large_pictures_and_scratched_files(
    tmp_path: Path, shared_data: Path, prepare: Prepare, prepare_in_python: Prepare
) -> None:
    photos = sorted((shared_data / "trashnet").glob("*/*.jpg"))[::8]
    signs = sorted((shared_data / "sign_digits").glob("*/*"))[::20]
    random = np.random.default_rng(4)
    large = tmp_path / "large.jpg"
    blocks = random.integers(0, 256, (30, 40, 3)).repeat(100, axis=0).repeat(100, axis=1)
    Image.fromarray(blocks.astype(np.uint8)).save(large)
    kinds = picture_files.jpegs(tmp_path, photos[0])
    scratched = picture_files.scratched(tmp_path, [*photos[:20], *kinds[:40]], 120)
    files = [*photos, *signs, large, *kinds, *scratched]
    assert len(files) > 500
    assert differing(files, prepare, prepare_in_python) == []
