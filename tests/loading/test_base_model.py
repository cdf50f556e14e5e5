"""What a user may name as a base."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tiny

from pybridge import zoo
from pybridge.data.preprocessing import Preprocessing
from pybridge.errors import ModelFormatError
from pybridge.loading import resolve
from pybridge.tfjs import surgery
from pybridge.tfjs.layers_model import LayersModel

if TYPE_CHECKING:
    from web_site import Site


def test_the_default_base_comes_out_of_a_package_and_is_converted_once(cache: Path) -> None:
    base = resolve("efficientnet_lite0")
    assert base.model.parameters == 3_413_024
    assert surgery.layer_names(base.model)[-1] == "top_relu"
    assert (base.preprocessing.mean, base.preprocessing.std) == ((127.0,), (128.0,))
    assert base.origin["kind"] == "zoo"
    (converted,) = (cache / "models").glob("efficientnet_lite0-*/model.json")
    written = converted.stat().st_mtime_ns
    assert resolve("efficientnet_lite0").origin == base.origin
    assert converted.stat().st_mtime_ns == written


def test_a_damaged_conversion_is_made_again(cache: Path) -> None:
    base = resolve("efficientnet_lite0")
    (converted,) = (cache / "models").glob("efficientnet_lite0-*/model.json")
    converted.write_text("{")
    assert resolve("efficientnet_lite0").origin == base.origin


def test_a_teachable_machine_export_brings_its_labels_and_cropping(shared_data: Path) -> None:
    base = resolve(shared_data / "weights" / "teachable_machine")
    assert base.labels == ("Class 1", "Class 2")
    assert base.preprocessing == Preprocessing(224, 224, crop="centre", mean=(127.5,), std=(127.5,))
    assert base.origin["kind"] == "teachable_machine"
    assert base.origin["preprocessing"] == "published"
    assert surgery.layer_names(base.model)[-1] == "out_relu"


def test_an_unknown_models_preprocessing_is_assumed_and_says_so(shared_data: Path) -> None:
    base = resolve(shared_data / "weights" / "mobilenet_v1_0.25_224" / "model.json")
    assert base.origin["preprocessing"] == "assumed"
    assert (base.preprocessing.mean, base.preprocessing.std) == ((127.5,), (127.5,))
    assert base.name == "mobilenet_v1_0.25_224"


@pytest.mark.parametrize(
    ("scale", "known", "std"),
    [(1 / 127.5, "inferred", 1.0), ([1 / 57, 1 / 58, 1 / 59], "inferred", 1.0), (4.4, "assumed", 127.5)],
)
def test_a_model_that_scales_pixels_itself_is_given_them_as_they_are(scale: object, known: str, std: float) -> None:
    rescaling = tiny.layer("Rescaling", "rescaling", scale=scale, offset=-1.0)
    front = surgery.append_head(tiny.entrance(16, 16, 3), [rescaling], {})
    base = resolve(surgery.join(front, tiny.convolution()))
    assert (base.origin["preprocessing"], base.preprocessing.std) == (known, (std,))


def test_preprocessing_can_be_given(residual: LayersModel) -> None:
    given = Preprocessing(8, 8, mean=(0.0,), std=(255.0,))
    base = resolve(residual, preprocessing=given)
    assert base.preprocessing is given
    assert base.origin["preprocessing"] == "given"


def test_preprocessing_of_another_size_is_refused(residual: LayersModel) -> None:
    with pytest.raises(ModelFormatError, match="8x8"):
        resolve(residual, preprocessing=Preprocessing(16, 16))


def test_a_mistyped_name_is_corrected() -> None:
    with pytest.raises(ModelFormatError, match="Did you mean efficientnet_lite0"):
        resolve("eficientnet_lite0")
    with pytest.raises(ModelFormatError, match="Did you mean"):
        zoo.get("mobilenet_v1_0.25")


def test_a_model_that_is_not_for_rgb_images_is_refused(residual: LayersModel) -> None:
    residual.topology["config"]["layers"][0]["config"]["batch_input_shape"] = [None, 28, 28, 1]
    with pytest.raises(ModelFormatError, match="not RGB"):
        resolve(residual)


@pytest.mark.parametrize(
    ("name", "kind", "parameters"),
    [("mobilenet_v1_0.25_224", "url", 218_544), ("teachable_machine", "teachable_machine", 410_208)],
)
def test_a_base_may_come_from_an_address(
    site: Site, shared_data: Path, cache: Path, name: str, kind: str, parameters: int
) -> None:
    (site.root / name).symlink_to(shared_data / "weights" / name)
    base = resolve(f"{site.address}/{name}/model.json")
    assert (base.origin["kind"], base.origin["location"]) == (kind, f"{site.address}/{name}/model.json")
    assert base.model.parameters == parameters
    assert base.origin["sha256"] == resolve(shared_data / "weights" / name).origin["sha256"]
    assert bool(base.labels) == (kind == "teachable_machine")
