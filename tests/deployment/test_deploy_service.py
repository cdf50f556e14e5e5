"""The package in somebody's service: installed from its tarball, on TensorFlow.js without native code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from service_project import HERE, Project, classify, install, probabilities

import pybridge as pb
from pybridge.runtime import Runtime

pytestmark = pytest.mark.slow

CALLS = 10_000


@pytest.fixture(scope="module")
def outcome(service: Project, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What came of everything that `behaviour.js` tries."""
    picture = tmp_path_factory.mktemp("picture") / "picture.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)).save(picture)
    return json.loads(service.node(HERE / "behaviour.js", {"picture": str(picture), "calls": CALLS}))


def test_every_kind_of_input_gives_the_same_answer(outcome: Any) -> None:
    found = outcome["found"]
    for kind in ("buffer", "uint8array", "arraybuffer", "dataview", "blob"):
        assert found[kind] == found["path"]
    assert found["rgba"] == found["rgb"] == found["tensor"]
    assert found["many"] == [found["path"]] * 3
    assert found["none"] == []


@pytest.mark.parametrize(
    ("attempt", "name", "code"),
    [
        ("float_tensor", "DeployError", "ERR_INPUT"),
        ("flat_tensor", "DeployError", "ERR_INPUT"),
        ("bright_tensor", "DeployError", "ERR_INPUT"),
        ("number", "DeployError", "ERR_INPUT"),
        ("nothing", "DeployError", "ERR_INPUT"),
        ("object", "DeployError", "ERR_INPUT"),
        ("wrong_pixels", "DeployError", "ERR_INPUT"),
        ("zero_answers", "DeployError", "ERR_INPUT"),
        ("one_for_many", "DeployError", "ERR_INPUT"),
        ("predict_bad", "DeployError", "ERR_INPUT"),
        ("after_dispose", "DeployError", "ERR_DISPOSED"),
        ("huge_pixels", "ImageError", "ERR_IMAGE_TOO_LARGE"),
        ("missing_file", "ImageError", "ERR_IMAGE_UNREADABLE"),
        ("folder", "ImageError", "ERR_IMAGE_UNREADABLE"),
        ("empty", "ImageError", "ERR_NOT_AN_IMAGE"),
        ("text", "ImageError", "ERR_NOT_AN_IMAGE"),
        ("jpegxl", "ImageError", "ERR_IMAGE_FORMAT"),
        ("truncated", "ImageError", "ERR_IMAGE_DAMAGED"),
        ("second_is_bad", "ImageError", "ERR_NOT_AN_IMAGE"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_name(outcome: Any, attempt: str, name: str, code: str) -> None:
    error = outcome["found"][attempt]
    assert (error["name"], error["code"]) == (name, code)
    assert error["message"]


def test_the_error_of_one_among_many_says_which(outcome: Any) -> None:
    assert outcome["found"]["second_is_bad"]["index"] == 1


def test_a_signal_ends_the_work(outcome: Any) -> None:
    assert outcome["found"]["aborted_before"]["name"] == "AbortError"
    assert outcome["found"]["aborted_within"]["name"] == "AbortError"


def test_predict_takes_prepared_batches(outcome: Any) -> None:
    assert outcome["found"]["predict"] == [2, 2]


def test_no_tensor_is_left_behind_by_ten_thousand_calls(outcome: Any) -> None:
    tensors = outcome["tensors"]
    assert tensors["used"] == tensors["loaded"] > tensors["before"]
    assert tensors["after"] == tensors["before"]


def test_without_tensorflow_js_the_error_says_what_to_install(package: Any, runtime: Runtime, tmp_path: Path) -> None:
    project = Project(tmp_path / "bare", runtime)
    shutil.copytree(package.path, project.folder / "model")
    script = project.folder / "try.js"
    script.write_text("require('./model').load().catch((error) => console.log(error.code, error.message));")
    assert project.node(script).startswith("ERR_RUNTIME No TensorFlow.js can be used")
    assert "npm install @tensorflow/tfjs" in project.node(script)


def shard(folder: Path) -> Path:
    return next(folder.glob("model/*.bin"))


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def linked(folder: Path) -> None:
    inside = shard(folder)
    outside = folder.parent / inside.name
    shutil.move(inside, outside)
    inside.symlink_to(outside)


TAMPERING: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit of a weight": (lambda folder: shard(folder).write_bytes(shard(folder).read_bytes()[:-1] + b"\x7f"), "was altered"),
    "a shard cut off": (lambda folder: shard(folder).write_bytes(shard(folder).read_bytes()[:-9]), "bytes instead of"),
    "a shard gone": (lambda folder: shard(folder).unlink(), "is missing"),
    "a link to outside": (linked, "is a link out of the package"),
    # The code runs before it is checked, so what is written here must still run.
    "code": (lambda folder: (folder / "lib" / "input.js").open("a").write("\n"), "lib/input.js has"),
    "a name that climbs": (
        lambda folder: rewrite(folder, lambda manifest: manifest["files"].update({"../../x": {"sha256": "", "bytes": 0}})),
        "not the name of a file inside",
    ),
    "an absolute model": (
        lambda folder: rewrite(folder, lambda manifest: manifest["model"].update(file="/etc/passwd")),
        "not the name of a file inside",
    ),
    "a SavedModel elsewhere": (
        lambda folder: rewrite(folder, lambda manifest: manifest.update(saved_model={"stages": [{"folder": "../other"}]})),
        "not the name of a file inside",
    ),
    "a SavedModel of which nothing is known": (
        lambda folder: rewrite(folder, lambda manifest: manifest.update(saved_model={"stages": [{"folder": "other"}]})),
        "no hash of other/saved_model.pb",
    ),
    "no JSON": (lambda folder: (folder / "manifest.json").write_text("{"), "is not JSON"),
    "another manifest": (lambda folder: (folder / "manifest.json").write_text("[]"), "not that of a package"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is missing"),
}


def test_altered_packages_do_not_load(service: Project, package: Any, tmp_path: Path) -> None:
    script = tmp_path / "load_all.js"
    script.write_text(
        "const tf = require('module').createRequire(process.cwd() + '/x.js')('@tensorflow/tfjs');"
        "(async () => { const all = {}; for (const [name, folder] of JSON.parse(require('fs').readFileSync(0))) {"
        "try { await require(folder).load({ tf }); all[name] = 'loaded'; }"
        "catch (error) { all[name] = `${error.name}: ${error.message}`; } }"
        "process.stdout.write(JSON.stringify(all)); })();"
    )
    folders = {}
    for number, (name, (tamper, _)) in enumerate(TAMPERING.items()):
        folders[name] = tmp_path / str(number) / "package"
        shutil.copytree(package.path, folders[name])
        tamper(folders[name])
    found = json.loads(service.node(script, [[name, str(folder)] for name, folder in folders.items()]))
    for name, (_, message) in TAMPERING.items():
        assert found[name].startswith("IntegrityError: "), (name, found[name])
        assert message in found[name], (name, found[name])


def test_types_of_commonjs_and_esm_pass_the_strict_compiler(service: Project) -> None:
    service.npm("install", "--ignore-scripts", "typescript@5.9.3", "@types/node@20.19.0")
    for name in ("usage.cts", "usage.mts"):
        shutil.copy(HERE / "usage.ts", service.folder / name)
    options = {
        "strict": True,
        "noEmit": True,
        "module": "node16",
        "moduleResolution": "node16",
        "target": "es2022",
        "exactOptionalPropertyTypes": True,
        "noUncheckedIndexedAccess": True,
        "types": ["node"],
    }
    files = ["usage.cts", "usage.mts"]
    (service.folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": files}))
    service.tool("tsc", "-p", ".")


def test_an_esm_service_imports_it(service: Project) -> None:
    script = service.folder / "service.mjs"
    script.write_text(
        "import { load, ImageError } from 'classifier';"
        "const classifier = await load({ runtime: 'wasm' });"
        "console.log(classifier.runtime, typeof ImageError, classifier.labels.length);"
        "classifier.dispose();"
    )
    assert service.node(script).splitlines()[-1] == "wasm function 2"


def test_publint_and_are_the_types_wrong_find_nothing(service: Project) -> None:
    service.npm("install", "--ignore-scripts", "publint@0.3.25", "@arethetypeswrong/cli@0.18.5")
    (tarball,) = service.folder.glob("*.tgz")
    service.tool("publint", "run", tarball, "--strict")
    service.tool("attw", tarball)


def test_photos_get_pythons_labels_without_native_code_and_its_bits_with_its_tensorflow(
    shared_data: Path, runtime: Runtime, node: pb.Node, tmp_path: Path
) -> None:
    for photo in (photo for kind in (shared_data / "trashnet").iterdir() for photo in sorted(kind.iterdir())[:15]):
        (tmp_path / "waste" / photo.parent.name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "waste" / photo.parent.name / photo.name).symlink_to(photo)
    base = shared_data / "weights" / "mobilenet_v1_0.25_224" / "model.json"
    photos = sorted((shared_data / "trashnet").glob("*/*.jpg"))[::13] + sorted((shared_data / "sign_digits").glob("*/*"))[::19]
    photos = photos[:300]
    assert len(photos) == 300
    classifier = pb.ImageClassifier(str(base), epochs=3, seed=0, node=node)
    classifier.fit(tmp_path / "waste")
    classifier.save(tmp_path / "run")
    package = pb.deploy(tmp_path / "run", tmp_path / "classifier", images=photos[:20], saved_model=True, node=node)
    project = install(package.path, runtime, tmp_path / "service")
    answers = classify(project, photos, runtime="wasm")
    found, expected = probabilities(answers, classifier.class_names_), classifier.predict_proba(photos)
    assert (answers["runtime"], answers["form"]) == ("wasm", "graph")
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()
    assert np.abs(found - expected).max() < 1e-5
    runner = HERE.parents[1] / "node_runner" / "tensorflow"
    same = classify(project, photos, native=str(runner))
    assert (same["runtime"], same["form"]) == ("tfjs-node", "saved_model")
    assert np.array_equal(probabilities(same, classifier.class_names_), expected)
