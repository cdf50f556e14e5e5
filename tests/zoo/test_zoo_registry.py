"""What holds of every base model of the zoo, however many there are."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from types import ModuleType

import pytest

from pybridge import zoo
from pybridge.data.preprocessing import Preprocessing
from pybridge.errors import ModelFormatError
from pybridge.tfjs.layers_model import LayersModel
from pybridge.zoo.registry import entries_of, table

every_entry = pytest.mark.parametrize("entry", zoo.list(), ids=lambda entry: entry.name)


def test_the_default_comes_first_and_the_others_by_name() -> None:
    first, *others = [entry.name for entry in zoo.list()]
    assert first == "efficientnet_lite0"
    assert others == sorted(others)
    assert {"mobilenet_v1_0.25_224", "mobilenet_v1_1.0_224"} <= set(others)


@every_entry
def test_an_entry_says_what_the_model_costs_and_where_it_comes_from(entry: zoo.ZooEntry) -> None:
    assert (entry.top1 is None) == (entry.top1_source is None)
    assert entry.top1 is None or 0 < entry.top1 < 100
    assert entry.top1_source is None or entry.top1_source.startswith("https://")
    assert entry.parameters > 0
    assert entry.multiply_adds > 0
    assert entry.origin
    assert entry.licence
    assert (entry.preprocessing.height, entry.preprocessing.width) == entry.input_size
    for sha256 in (entry.model_sha256, entry.weights_sha256):
        assert sha256 is None or re.fullmatch("[0-9a-f]{64}", sha256)
    assert entry.url is None or entry.url.startswith("https://")


@every_entry
def test_an_entry_is_found_by_all_its_names_and_its_address(entry: zoo.ZooEntry) -> None:
    for name in (entry.name, *entry.aliases, *([entry.url] if entry.url else [])):
        assert zoo.find(name) is entry
    assert zoo.get(entry.name) is entry


def test_the_list_prints_as_a_table_with_its_sources() -> None:
    entries = zoo.list()
    assert all(entry.name in repr(entries) and (entry.top1_source or "not published") in repr(entries) for entry in entries)


@every_entry
def test_an_entry_is_plain_json(entry: zoo.ZooEntry) -> None:
    plain = json.loads(json.dumps(entry.to_dict()))
    assert (plain["name"], plain["size_bytes"], plain["input_size"]) == (entry.name, 4 * entry.parameters, [*entry.input_size])
    assert Preprocessing.from_dict(plain["preprocessing"]) == entry.preprocessing


def test_a_name_that_is_none_is_corrected() -> None:
    assert zoo.find("efficientnet") is None
    with pytest.raises(ModelFormatError, match="Did you mean"):
        zoo.get("mobilenet_v1_0.25")


def entry_with(model: LayersModel, parameters: int) -> zoo.ZooEntry:
    return zoo.ZooEntry(
        name="small",
        title="Small",
        build=lambda entry, progress: model,
        parameters=parameters,
        multiply_adds=1,
        top1=1.0,
        top1_source="https://example.org",
        input_size=(8, 8),
        origin="a test",
        preprocessing=Preprocessing(8, 8),
        licence="Apache-2.0",
    )


def test_a_model_without_a_published_accuracy_is_listed_without_one(residual: LayersModel) -> None:
    entry = replace(entry_with(residual, 170), top1=None, top1_source=None)
    assert "not published" in table([entry])
    assert "top-1" not in str(entry)


@pytest.mark.parametrize("entries", [{}, {"ENTRIES": "small"}, {"ENTRIES": ["small"]}])
def test_a_module_whose_entries_are_misspelt_is_named(entries: dict[str, object]) -> None:
    module = ModuleType("pybridge.zoo.models.small")
    vars(module).update(entries)
    with pytest.raises(TypeError, match=r"pybridge\.zoo\.models\.small: ENTRIES must be a tuple of ZooEntry"):
        entries_of(module)


def test_each_entry_is_built_by_its_own_builder_whether_it_has_an_address_or_not(residual: LayersModel) -> None:
    assert entry_with(residual, residual.parameters).load() is residual


def test_a_model_of_another_size_than_the_entry_says_is_refused(residual: LayersModel) -> None:
    with pytest.raises(ModelFormatError, match="a test: the model has 170 parameters, but small has 171"):
        entry_with(residual, 171).load()
