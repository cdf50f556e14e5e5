"""Requests that cannot be answered: each gets 4xx and a message that says why, and the server goes on."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import pybridge as pb
from pybridge.deployment import DeployedPackage, Server

pytestmark = pytest.mark.slow

MAX_BODY = 2_000_000
IMAGE = {"image_bytes": {"b64": "%PNG%"}}
INFER = "/v2/models/tiny/infer"
PREDICT = "/v1/models/tiny:predict"
CLASSIFY = "/v1/models/tiny:classify"
JSON = {"content-type": "application/json"}

Case = tuple[str, str, str, Any, dict[str, str], int, str]


def tensor(name: str = "image_bytes", datatype: str = "BYTES", shape: Any = (1,), data: Any = ("%PNG%",), **more: Any) -> Any:
    return {"inputs": [{"name": name, "datatype": datatype, "shape": shape, "data": data, **more}]}


def pixels(value: Any, height: int = 16, width: int = 16) -> Any:
    return [[[value] * 3 for _ in range(width)] for _ in range(height)]


def binary(header: Any, rest: bytes, length: int | str | None = None) -> tuple[bytes, dict[str, str]]:
    text = json.dumps(header).encode()
    return text + rest, {"Inference-Header-Content-Length": str(len(text) if length is None else length)}


def with_size(name: str, datatype: str, shape: Any, size: Any) -> Any:
    return {"inputs": [{"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}]}


def form(*parts: str, boundary: str = "b") -> bytes:
    return "".join(f"--b\r\n{part}\r\n" for part in parts).encode() + f"--{boundary}--\r\n".encode()


FLOATS = with_size("preprocessed", "FP32", [1, 16, 16, 3], 3072)
FORM = {"content-type": "multipart/form-data; boundary=b"}
FIELD = 'content-disposition: form-data; name="f"'
FILE = 'content-disposition: form-data; name="f"; filename="f.png"'

# name, method, path, body (str and bytes as they are, else as JSON), headers, status, part of the message
CASES: list[Case] = [
    ("unknown address", "GET", "/nothing", None, {}, 404, "openapi.json"),
    ("unknown model", "GET", "/v1/models/cat", None, {}, 404, "cat"),
    ("unknown version", "GET", "/v1/models/tiny/versions/7", None, {}, 404, "versions"),
    ("version in words", "GET", "/v1/models/tiny/versions/new", None, {}, 404, "NUMBER"),
    ("steps upwards", "GET", "/v1/models/..%2f..%2f..%2fetc%2fpasswd", None, {}, 404, "form"),
    ("steps upwards, plain", "GET", "/../../etc/passwd", None, {}, 404, "nothing"),
    ("a file of the server", "GET", "/server/main.js", None, {}, 404, "nothing"),
    ("half an escape", "GET", "/v2/models/%E0%A4%A", None, {}, 404, "no model"),
    ("a null byte", "GET", "/v2/models/%00", None, {}, 404, "no model"),
    ("a long name", "GET", "/v2/models/" + "x" * 500, None, {}, 414, "too long"),
    ("name of every object", "GET", "/v2/models/__proto__", None, {}, 404, "__proto__"),
    ("name of every class", "POST", "/v1/models/constructor:predict", {"instances": [IMAGE]}, {}, 404, "constructor"),
    ("another method", "DELETE", "/v1/models/tiny", None, {}, 405, "GET"),
    ("reading what is asked", "GET", "/classify", None, {}, 405, "POST"),
    ("writing health", "POST", "/healthz", {}, {}, 405, "GET"),
    ("no verb", "POST", "/v1/models/tiny", {"instances": [IMAGE]}, {}, 404, ":predict"),
    ("unknown verb", "POST", "/v1/models/tiny:explain", {"instances": [IMAGE]}, {}, 404, ":predict"),
    ("regression", "POST", "/v1/models/tiny:regress", {"examples": [IMAGE]}, {}, 400, "regression"),
    ("no body", "POST", PREDICT, None, {}, 400, "empty"),
    ("no JSON", "POST", PREDICT, "hello", {}, 400, "not JSON"),
    ("half of JSON", "POST", PREDICT, '{"instances": [', {}, 400, "not JSON"),
    ("no object", "POST", PREDICT, [1, 2], {}, 400, "object"),
    ("null", "POST", PREDICT, "null", {}, 400, "object"),
    ("bytes that are no text", "POST", PREDICT, b"\xff\xfe\x00{", {}, 400, "not JSON"),
    ("a text that is no UTF-8", "POST", INFER, b'{"id": "\xff\xfe", "inputs": []}', {}, 400, "UTF-8"),
    ("deep JSON", "POST", PREDICT, '{"instances":' + "[" * 100_000, {}, 400, "deep"),
    ("very many arrays", "POST", PREDICT, '{"instances":[' + "[]," * 600_000 + "[]]}", {}, 413, "images"),
    ("neither rows nor columns", "POST", PREDICT, {"rows": []}, {}, 400, "instances"),
    ("rows and columns", "POST", PREDICT, {"instances": [IMAGE], "inputs": [IMAGE]}, {}, 400, "either"),
    ("rows that are none", "POST", PREDICT, {"instances": "x"}, {}, 400, "array"),
    ("no rows", "POST", PREDICT, {"instances": []}, {}, 400, "no image"),
    ("too many rows", "POST", PREDICT, {"instances": [IMAGE] * 9}, {}, 413, "at most 8"),
    ("a row that is a number", "POST", PREDICT, {"instances": [3]}, {}, 400, "instances[0]"),
    ("a row with another field", "POST", PREDICT, {"instances": [{"photo": {"b64": "%PNG%"}}]}, {}, 400, "image_bytes"),
    ("a row with polluting fields", "POST", PREDICT, '{"instances":[{"__proto__":{"b64":"AAAA"}}]}', {}, 400, "image_bytes"),
    ("unknown signature", "POST", PREDICT, {"signature_name": "train", "instances": [IMAGE]}, {}, 400, "serving_default"),
    ("a signature that is an object", "POST", PREDICT, {"signature_name": {}, "instances": [IMAGE]}, {}, 400, "signature_name"),
    ("base64 that is none", "POST", PREDICT, {"instances": [{"b64": "?!*"}]}, {}, 400, "not base64"),
    ("base64 that is a number", "POST", PREDICT, {"instances": [{"b64": 12}]}, {}, 400, "base64 string"),
    ("an empty image", "POST", PREDICT, {"instances": [{"b64": ""}]}, {}, 400, "empty"),
    ("a data address", "POST", PREDICT, {"instances": [{"b64": "data:image/png;base64,AAAA"}]}, {}, 400, "comma"),
    ("no image in base64", "POST", PREDICT, {"instances": [{"b64": "AAAA"}]}, {}, 400, "not an image"),
    ("one bad image of two", "POST", PREDICT, {"instances": [IMAGE, {"b64": "AAAA"}]}, {}, 400, "[1]"),
    ("half an image", "POST", PREDICT, {"instances": [{"b64": "%HALF%"}]}, {}, 400, "damaged"),
    ("numbers of another shape", "POST", PREDICT, {"instances": [pixels(0.5, 4, 4)]}, {}, 400, "array of 16"),
    ("ragged numbers", "POST", PREDICT, {"instances": [[*pixels(0.5)[:-1], [[0.5] * 3] * 3]]}, {}, 400, "array of 16"),
    ("words for numbers", "POST", PREDICT, {"instances": [pixels("x")]}, {}, 400, "numbers"),
    ("NaN in JSON", "POST", PREDICT, '{"instances": [[[[NaN]]]]}', {}, 400, "NaN"),
    ("a number beyond float64", "POST", PREDICT, {"instances": [pixels(0.5)], "x": 1}, {"x-case": "1e999"}, 400, "float32"),
    ("a number beyond float32", "POST", PREDICT, {"instances": [pixels(1e39)]}, {}, 400, "float32"),
    ("pixels of 256", "POST", PREDICT, {"signature_name": "pixels", "instances": [pixels(256)]}, {}, 400, "255"),
    ("a column with another name", "POST", PREDICT, {"inputs": {"photo": [{"b64": "%PNG%"}]}}, {}, 400, "image_bytes"),
    ("columns of two kinds", "POST", PREDICT, {"inputs": {"image_bytes": [], "pixels": []}}, {}, 400, "one field"),
    ("no examples", "POST", CLASSIFY, {"instances": [IMAGE]}, {}, 400, "examples"),
    ("an example that is a text", "POST", CLASSIFY, {"examples": ["x"]}, {}, 400, "examples[0]"),
    ("a context that is a text", "POST", CLASSIFY, {"examples": [IMAGE], "context": "x"}, {}, 400, "context"),
    ("no input", "POST", INFER, {"inputs": []}, {}, 400, "inputs"),
    ("inputs that are none", "POST", INFER, {"inputs": {"name": "image_bytes"}}, {}, 400, "inputs"),
    ("unknown input", "POST", INFER, tensor("photo"), {}, 400, "image_bytes"),
    ("an input called by every object", "POST", INFER, tensor("toString"), {}, 400, "image_bytes"),
    ("another datatype", "POST", INFER, tensor(datatype="FP32"), {}, 400, "BYTES"),
    ("no shape", "POST", INFER, tensor(shape=None), {}, 400, "shape"),
    ("a negative shape", "POST", INFER, tensor(shape=[-1]), {}, 400, "shape"),
    ("a shape of fractions", "POST", INFER, tensor(shape=[1.5]), {}, 400, "shape"),
    ("a shape without end", "POST", INFER, tensor("pixels", "UINT8", [2**30, 2**30, 2**30, 3], [1]), {}, 413, "images"),
    ("a large shape, no data", "POST", INFER, tensor("pixels", "UINT8", [8, 7000, 7000, 3], [1]), {}, 400, "numbers"),
    ("a picture of too many pixels", "POST", INFER, tensor("pixels", "UINT8", [1, 20000, 20000, 3], [1]), {}, 413, "pixels"),
    ("fewer elements than the shape", "POST", INFER, tensor(shape=[2]), {}, 400, "array of 2"),
    ("another size than the model's", "POST", INFER, tensor("preprocessed", "FP32", [1, 8, 8, 3], [0] * 192), {}, 400, "16, 16"),
    ("no data", "POST", INFER, {"inputs": [{"name": "image_bytes", "datatype": "BYTES", "shape": [1]}]}, {}, 400, "data"),
    ("unknown output", "POST", INFER, {**tensor(), "outputs": [{"name": "logits"}]}, {}, 400, "probabilities"),
    ("an id that is a number", "POST", INFER, {**tensor(), "id": 5}, {}, 400, "id"),
    ("parameters that are an array", "POST", INFER, {**tensor(), "parameters": []}, {}, 400, "parameters"),
    ("an input's parameters that are a number", "POST", INFER, tensor(parameters=5), {}, 400, "inputs[0].parameters"),
    ("a wish that is a word", "POST", INFER, {**tensor(), "parameters": {"binary_data_output": "yes"}}, {}, 400, "true or false"),
    ("shared memory", "POST", INFER, tensor(parameters={"shared_memory_region": "r"}), {}, 400, "Shared memory"),
    ("a header longer than the body", "POST", INFER, *binary(FLOATS, b"", 10**6), 400, "Content-Length"),
    ("a header that is no number", "POST", INFER, *binary(FLOATS, b"", "x"), 400, "Content-Length"),
    ("fewer bytes than said", "POST", INFER, *binary(FLOATS, b"\0" * 100), 400, "bytes"),
    ("more bytes than said", "POST", INFER, *binary(FLOATS, b"\0" * 4000), 400, "belong"),
    ("a negative size", "POST", INFER, *binary(with_size("pixels", "UINT8", [1, 1, 1, 3], -3), b"abc"), 400, "binary_data_size"),
    ("fewer bytes than the shape", "POST", INFER, *binary(with_size("pixels", "UINT8", [1, 2, 2, 3], 3), b"abc"), 400, "shape"),
    ("NaN in binary", "POST", INFER, *binary(FLOATS, struct.pack("<f", float("nan")) * 768), 400, "finite"),
    ("infinity in binary", "POST", INFER, *binary(FLOATS, struct.pack("<f", float("inf")) * 768), 400, "finite"),
    (
        "an element without end",
        "POST",
        INFER,
        *binary(with_size("image_bytes", "BYTES", [1], 8), b"\xff" * 8),
        400,
        "ends within",
    ),
    ("fewer binary elements", "POST", INFER, *binary(with_size("image_bytes", "BYTES", [2], 5), b"\1\0\0\0x"), 400, "fewer"),
    ("an image of another kind of content", "POST", "/classify", "hello", {"content-type": "text/plain"}, 415, "text/plain"),
    ("a form of text", "POST", "/classify", "a=b", {"content-type": "application/x-www-form-urlencoded"}, 400, "image"),
    ("JSON as an image", "POST", "/classify", {"image": "x"}, JSON, 415, "image/"),
    ("an empty picture", "POST", "/classify", b"", {"content-type": "image/png"}, 400, "empty"),
    ("no picture", "POST", "/classify", b"hello", {"content-type": "image/jpeg"}, 400, "not an image"),
    ("a picture of another format", "POST", "/classify", b"\xff\x0a\0\0", {"content-type": "image/jxl"}, 400, "JPEG XL"),
    ("a bomb of pixels", "POST", "/classify", "%BOMB%", {"content-type": "image/png"}, 413, "pixels"),
    ("too many bytes", "POST", "/classify", b"\0" * (MAX_BODY + 1), {"content-type": "image/png"}, 413, str(MAX_BODY)),
    ("answers of zero", "POST", "/classify?topK=0", "%PNG%", {"content-type": "image/png"}, 400, "topK"),
    ("answers in words", "POST", "/classify?topK=all", "%PNG%", {"content-type": "image/png"}, 400, "topK"),
    ("a parameter twice", "POST", "/classify?topK=1&topK=2", "%PNG%", {"content-type": "image/png"}, 400, "more than once"),
    ("an unknown parameter", "POST", "/classify?topk=1", "%PNG%", {"content-type": "image/png"}, 400, "topK"),
    ("a model that is not", "POST", "/classify?model=cat", "%PNG%", {"content-type": "image/png"}, 404, "cat"),
    ("a form without a boundary", "POST", "/classify", b"x", {"content-type": "multipart/form-data"}, 400, "oundary"),
    ("a form without an end", "POST", "/classify", f"--b\r\n{FILE}\r\n\r\nabc", FORM, 400, ""),
    (
        "a form without files",
        "POST",
        "/classify",
        form('content-disposition: form-data; name="f"\r\n\r\nx'),
        FORM,
        400,
        "no file",
    ),
    ("a form with an empty file", "POST", "/classify", form(f"{FILE}\r\n\r\n"), FORM, 400, "empty"),
    ("a form with too many files", "POST", "/classify", form(*[f"{FILE}\r\n\r\nx"] * 9), FORM, 413, ""),
    ("half of a compressed body", "POST", PREDICT, b"\x1f\x8b\x08", {"content-encoding": "gzip"}, 400, "gzip"),
    ("another compression", "POST", PREDICT, b"x", {"content-encoding": "br"}, 415, "gzip"),
]


@pytest.fixture(scope="module")
def strict_server(served_package: DeployedPackage) -> Iterator[Server]:
    limits = {"max_body": MAX_BODY, "max_images": 8, "max_pixels": 50_000_000, "body_timeout": 1, "reload": 0}
    with pb.serve({"tiny": served_package.path}, limits=limits, log_level="silent") as running:
        yield running


@pytest.fixture(scope="module")
def fill(picture_files: list[Path]) -> Callable[[Any], bytes | None]:
    """Puts real pictures where a case names one."""
    png = picture_files[0].read_bytes()
    bomb = bytearray(png)
    bomb[16:24] = struct.pack(">II", 60_000, 60_000)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bomb[12:29]))
    names = {"%PNG%": png, "%HALF%": png[: len(png) // 2], "%BOMB%": bytes(bomb)}

    def fill(body: Any) -> bytes | None:
        if body is None or isinstance(body, bytes):
            return body
        if isinstance(body, str):
            return names.get(body, body.encode())
        text = json.dumps(body)
        for name, content in names.items():
            text = text.replace(name, base64.b64encode(content).decode())
        return text.encode()

    return fill


def memory(server: Server) -> int:
    """Bytes of the process that talks to clients."""
    text = requests.get(f"{server.url}/metrics", timeout=20).text
    return int(re.findall(r"^process_resident_memory_bytes (\S+)", text, re.MULTILINE)[0].split(".")[0])


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_a_bad_request_is_told_what_is_wrong(case: Case, strict_server: Server, fill: Callable[[Any], bytes | None]) -> None:
    _, method, path, body, headers, status, words = case
    content = fill(body)
    if headers.get("x-case") and content:
        content = content.replace(b"0.5", headers["x-case"].encode())
    host, port = strict_server.url.removeprefix("http://").split(":")
    request = requests.Request(method, strict_server.url, data=content, headers=headers).prepare()
    # As it is: clients tidy up an address before they send it.
    request.url = f"http://{host}:{port}{path}"
    with requests.Session() as session:
        answer = session.send(request, timeout=20)
    assert answer.status_code == status, answer.text
    message = answer.json()["error"]
    assert words in message
    assert list(answer.json()) == ["error"]
    assert not any(secret in answer.text for secret in ("/home", "/root", "/tmp", "node_modules", ".js:", "    at "))


def raw(server: Server, sent: bytes) -> bytes:
    """What comes back for bytes that no client library would send, until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(sent)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    return received


START = b"POST /classify HTTP/1.1\r\nHost: localhost\r\n"
CHUNKS = START + b"Content-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
FORM_START = START + b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 99\r\n\r\n--b\r\n"

HARDLY_HTTP = {
    "no HTTP": (b"hello\r\n\r\n", b"400"),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", b"400"),
    "large headers": (START + b"X: " + b"x" * 20_000 + b"\r\n\r\n", b"431"),
    "negative length": (START + b"Content-Length: -1\r\n\r\n", b"400"),
    "two lengths": (START + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", b"400"),
    "bad chunk": (CHUNKS + b"ZZ\r\n", b"400"),
    "too long": (START + b"Content-Length: 5000000000\r\n\r\n", b"413"),
    "slow headers": (START + b"X-Slow: ", b"408"),
    "slow body": (START + b"Content-Length: 100\r\n\r\nslow", b"408"),
    "slow chunks": (CHUNKS + b"3\r\nabc\r\n", b"408"),
    "slow form": (FORM_START, b"408"),
}


@pytest.mark.parametrize(("sent", "status"), HARDLY_HTTP.values(), ids=HARDLY_HTTP)
def test_what_is_hardly_http_is_refused_and_closed(sent: bytes, status: bytes, strict_server: Server) -> None:
    received = raw(strict_server, sent)
    assert received.startswith(b"HTTP/1.1 " + status), received
    assert b'{"error":"' in received


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_a_client_that_sends_all_of_a_large_body_reads_why_it_was_refused(connection: str, strict_server: Server) -> None:
    # More than the buffers of a connection hold: the client is still sending when the answer is there.
    body = bytes(30_000_000)
    client = http.client.HTTPConnection("127.0.0.1", strict_server.port, timeout=20)
    client.request("POST", "/classify", body, {"content-type": "image/png", "connection": connection})
    answer = client.getresponse()
    assert answer.status == 413
    assert str(MAX_BODY) in json.loads(answer.read())["error"]
    client.close()


def test_a_client_that_never_sends_what_was_refused_is_answered_once(strict_server: Server) -> None:
    received = raw(strict_server, START + b"Content-Length: 5000000000\r\n\r\n")
    assert received.count(b"HTTP/1.1 ") == 1, received


def test_afterwards_the_server_answers_and_its_memory_is_back(
    strict_server: Server, picture_files: list[Path], fill: Any
) -> None:
    def bad_round() -> None:
        with requests.Session() as session:
            for _, method, path, body, headers, _, _ in CASES:
                session.request(method, strict_server.url + path, data=fill(body), headers=headers, timeout=20)

    bad_round()
    before = memory(strict_server)
    for _ in range(2):
        bad_round()
    assert memory(strict_server) < before + 100e6
    answer = requests.post(f"{strict_server.url}/classify", data=picture_files[0].read_bytes(), timeout=20)
    assert answer.status_code == 200
