"""What existing clients get: the labels and the bits of Python, whichever protocol they speak."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from numpy.typing import NDArray
from openapi_spec_validator import validate
from PIL import Image

import pybridge as pb
from pybridge.deployment import Server
from pybridge.runtime import ensure

tritonclient = pytest.importorskip("tritonclient.http")
pytestmark = pytest.mark.slow

Files = list[Path]
Floats = NDArray[np.float32]


def as_array(rows: Any) -> NDArray[np.float32]:
    return np.array(rows, np.float32)


def encoded(file: Path) -> dict[str, str]:
    return {"b64": base64.b64encode(file.read_bytes()).decode()}


def post(server: Server, path: str, document: Any) -> Any:
    answer = requests.post(f"{server.url}{path}", data=json.dumps(document), timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_tensorflow_servings_rows_and_columns(server: Server, picture_files: Files, expected: Floats) -> None:
    images = [encoded(file) for file in picture_files]
    path = "/v1/models/tiny:predict"
    assert np.array_equal(as_array(post(server, path, {"instances": images})["predictions"]), expected)
    named = [{"image_bytes": image} for image in images]
    assert np.array_equal(as_array(post(server, path, {"instances": named})["predictions"]), expected)
    columns = {"signature_name": "serving_default", "inputs": {"image_bytes": images}}
    assert np.array_equal(as_array(post(server, "/v1/models/tiny/versions/1:predict", columns)["outputs"]), expected)


def test_base64_in_lines_and_a_byte_order_mark_are_taken(server: Server, picture_files: Files, expected: Floats) -> None:
    lines = base64.encodebytes(picture_files[0].read_bytes()).decode()
    assert "\n" in lines.strip()
    body = b"\xef\xbb\xbf" + json.dumps({"instances": [{"b64": lines}]}).encode()
    answer = requests.post(f"{server.url}/v1/models/tiny:predict", data=body, timeout=60)
    assert np.array_equal(as_array(answer.json()["predictions"]), expected[:1])


def test_tensorflow_servings_numbers(server: Server, picture_files: Files, expected: Floats) -> None:
    path = "/v1/models/tiny:predict"
    raw = np.asarray(Image.open(picture_files[0])).tolist()
    found = post(server, path, {"signature_name": "pixels", "instances": [raw]})
    assert np.array_equal(as_array(found["predictions"]), expected[:1])
    grey = np.zeros((2, 16, 16, 3)).tolist()
    rows = post(server, path, {"instances": grey})["predictions"]
    columns = post(server, path, {"inputs": {"preprocessed": grey}})["outputs"]
    assert rows == columns
    assert np.allclose(np.sum(rows, axis=1), 1)


def test_tensorflow_servings_classes(server: Server, trained: pb.ImageClassifier, picture_files: Files, expected: Floats) -> None:
    examples = [{"image_bytes": encoded(file)} for file in picture_files]
    found = post(server, "/v1/models/tiny:classify", {"examples": examples})["result"]
    for pairs, row in zip(found, expected, strict=True):
        order = np.argsort(-row)
        assert [label for label, _ in pairs] == [trained.class_names_[i] for i in order]
        assert np.array_equal(as_array([score for _, score in pairs]), row[order])
    shared = post(server, "/v1/models/tiny:classify", {"context": examples[0], "examples": [{}, examples[1]]})["result"]
    assert shared == found[:2]


def test_tensorflow_servings_status_and_metadata(server: Server, trained: pb.ImageClassifier) -> None:
    status = requests.get(f"{server.url}/v1/models/tiny", timeout=20).json()
    assert status == {
        "model_version_status": [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}},
        ]
    }
    metadata = requests.get(f"{server.url}/v1/models/tiny/versions/1/metadata", timeout=20).json()
    assert metadata["model_spec"] == {"name": "tiny", "signature_name": "", "version": "1"}
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert signatures["serving_default"]["inputs"]["image_bytes"]["dtype"] == "DT_STRING"
    sizes = [each["size"] for each in signatures["preprocessed"]["inputs"]["preprocessed"]["tensor_shape"]["dim"]]
    assert sizes == ["-1", "16", "16", "3"]
    assert metadata["metadata"]["labels"] == list(trained.class_names_)


@pytest.fixture
def triton(server: Server) -> Any:
    return tritonclient.InferenceServerClient(server.url.removeprefix("http://"))


def infer(triton: Any, name: str, datatype: str, values: Any, *, binary: bool, outputs: Any = None) -> Any:
    given = tritonclient.InferInput(name, list(values.shape), datatype)
    given.set_data_from_numpy(values, binary_data=binary)
    return triton.infer("tiny", [given], outputs=outputs, request_id="7")


def test_tritonclient_finds_the_model(triton: Any) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("tiny")
    assert triton.is_model_ready("tiny", "1")
    assert not triton.is_model_ready("cat")
    assert "binary_tensor_data" in triton.get_server_metadata()["extensions"]
    metadata = triton.get_model_metadata("tiny")
    assert metadata["versions"] == ["1"]
    assert {each["name"]: each["datatype"] for each in metadata["inputs"]} == {
        "image_bytes": "BYTES",
        "pixels": "UINT8",
        "preprocessed": "FP32",
    }


def test_tritonclients_images(triton: Any, trained: pb.ImageClassifier, picture_files: Files, expected: Floats) -> None:
    files = np.array([file.read_bytes() for file in picture_files], object)
    answer = infer(triton, "image_bytes", "BYTES", files, binary=True)
    assert np.array_equal(answer.as_numpy("probabilities"), expected)
    best = [trained.class_names_[i].encode() for i in expected.argmax(axis=1)]
    assert answer.as_numpy("label").tolist() == best
    assert answer.get_response()["id"] == "7"
    texts = np.array([base64.b64encode(each).decode() for each in files], object)
    wanted = [tritonclient.InferRequestedOutput("probabilities", binary_data=False)]
    assert np.array_equal(
        infer(triton, "image_bytes", "BYTES", texts, binary=False, outputs=wanted).as_numpy("probabilities"), expected
    )


def test_tritonclients_numbers(triton: Any, picture_files: Files, expected: Floats) -> None:
    raw = np.asarray(Image.open(picture_files[0]))[np.newaxis]
    grey = np.linspace(-1, 1, 2 * 16 * 16 * 3, dtype=np.float32).reshape(2, 16, 16, 3)
    found = []
    for binary in (True, False):
        outputs = [tritonclient.InferRequestedOutput("probabilities", binary_data=binary)]
        answer = infer(triton, "pixels", "UINT8", raw, binary=binary, outputs=outputs)
        assert np.array_equal(answer.as_numpy("probabilities"), expected[:1])
        found.append(infer(triton, "preprocessed", "FP32", grey, binary=binary, outputs=outputs).as_numpy("probabilities"))
    assert np.array_equal(*found)


def test_tritonclients_classes(triton: Any, trained: pb.ImageClassifier, picture_files: Files, expected: Floats) -> None:
    files = np.array([picture_files[0].read_bytes()], object)
    wanted = [tritonclient.InferRequestedOutput("probabilities", class_count=1)]
    (text,) = infer(triton, "image_bytes", "BYTES", files, binary=True, outputs=wanted).as_numpy("probabilities")[0]
    probability, index, label = text.decode().split(":")
    best = int(expected[0].argmax())
    assert (int(index), label) == (best, trained.class_names_[best])
    assert np.float32(probability) == expected[0, best]


def test_what_curl_sends_unasked_is_an_image_too(server: Server, picture_files: Files) -> None:
    data, form = picture_files[0].read_bytes(), {"content-type": "application/x-www-form-urlencoded"}
    plain, odd = (requests.post(f"{server.url}/classify/", data=data, headers=headers, timeout=60) for headers in ({}, form))
    assert odd.status_code == 200, odd.text
    assert odd.json() == plain.json()


def test_images_as_they_are(server: Server, trained: pb.ImageClassifier, picture_files: Files, expected: Floats) -> None:
    found = requests.post(f"{server.url}/classify?topK=1", data=picture_files[0].read_bytes(), timeout=60).json()
    best = int(expected[0].argmax())
    answer = {"label": trained.class_names_[best], "probability": float(expected[0, best])}
    assert found == {"model": "tiny", "version": "1", "results": [{**answer, "answers": [answer]}]}


def test_files_of_a_form(server: Server, picture_files: Files, expected: Floats) -> None:
    files = [("file", (file.name, file.read_bytes())) for file in picture_files]
    results = requests.post(f"{server.url}/classify", files=files, timeout=60).json()["results"]
    assert [result["file"] for result in results] == [file.name for file in picture_files]
    assert np.array_equal(as_array([result["probability"] for result in results]), expected.max(axis=1))


def test_fetch_of_nodes_own_client(server: Server, picture_files: Files, expected: Floats) -> None:
    script = """
      const bytes = await fs.openAsBlob(process.argv[2]);
      const form = new FormData();
      form.append('file', bytes, 'x');
      const bodies = [bytes, form, bytes.stream()];
      const found = [];
      for (const body of bodies) {
        const answer = await fetch(process.argv[1] + '/classify', { method: 'POST', body, duplex: 'half' });
        found.push((await answer.json()).results[0].probability);
      }
      console.log(JSON.stringify(found));
    """
    command = [
        str(ensure().node),
        "--input-type=module",
        "-e",
        f"import fs from 'fs';{script}",
        server.url,
        str(picture_files[1]),
    ]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert np.array_equal(as_array(json.loads(printed)), [expected[1].max()] * 3)


def test_many_clients_at_once_get_their_own_answers(server: Server, picture_files: Files, expected: Floats) -> None:
    def ask(i: int) -> bool:
        document = {"instances": [encoded(picture_files[i % 3])]}
        return np.array_equal(as_array(post(server, "/v1/models/tiny:predict", document)["predictions"]), expected[[i % 3]])

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(96)))


def test_the_description_is_valid_openapi_and_names_what_there_is(server: Server) -> None:
    document = requests.get(f"{server.url}/openapi.json", timeout=20).json()
    validate(document)
    for path, operations in document["paths"].items():
        address = path.replace("{name}", "tiny").replace("{version}", "1").replace("{label}", "stable")
        if "get" in operations:
            assert requests.get(f"{server.url}{address}", timeout=20).status_code == 200, path
        else:
            assert requests.post(f"{server.url}{address}", data=b"{", timeout=20).status_code in (400, 415), path


def test_prometheus_is_told_of_requests_batches_and_versions(server: Server, picture_files: Files) -> None:
    def figures() -> dict[str, float]:
        answer = requests.get(f"{server.url}/metrics", timeout=20)
        assert answer.headers["content-type"].startswith("text/plain")
        return {name: float(value) for name, value in re.findall(r"^(\w+(?:\{.*?\})?) (\S+)$", answer.text, re.MULTILINE)}

    requests.post(f"{server.url}/classify", data=picture_files[0].read_bytes(), timeout=60)
    before = figures()
    requests.post(f"{server.url}/classify", data=picture_files[0].read_bytes(), timeout=60)
    requests.post(f"{server.url}/classify", data=b"nothing", timeout=60)
    after = figures()
    good, bad = (f'pybridge_http_requests_total{{method="POST",route="/classify",status="{status}"}}' for status in (200, 400))
    assert after[good] == before[good] + 1
    assert after[bad] == before.get(bad, 0) + 1
    assert after['pybridge_images_total{model="tiny"}'] >= before['pybridge_images_total{model="tiny"}'] + 1
    assert after['pybridge_model_version{model="tiny",version="1",state="AVAILABLE"}'] == 1
    assert after['pybridge_queue_images{model="tiny"}'] == 0
    assert after["pybridge_http_requests_in_flight"] == 1
