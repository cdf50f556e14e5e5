"""Models from a web server."""

from __future__ import annotations

import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pybridge.errors import ModelFormatError
from pybridge.loading import resolve
from pybridge.tfjs.layers_model import LayersModel
from pybridge.zoo import download
from pybridge.zoo.download import fetch_model

if TYPE_CHECKING:
    from web_site import Site


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_PAUSE_SECONDS", 0)


@pytest.fixture
def served(site: Site, residual: LayersModel, cache: Path) -> str:
    residual.write(site.root / "m")
    return f"{site.address}/m/model.json"


def shard(site: Site) -> Path:
    return next((site.root / "m").glob("*.bin"))


def cut_after(count: int, times: int = 1) -> object:
    """An answer that promises the whole file and closes the connection early."""
    left = [times]

    def answer(handler: BaseHTTPRequestHandler, data: bytes) -> bool:
        if left[0] == 0:
            return False
        left[0] -= 1
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.send_header("ETag", '"1"')
        handler.end_headers()
        handler.wfile.write(data[:count])
        handler.close_connection = True
        return True

    return answer


def test_a_model_is_fetched_once(site: Site, served: str, residual: LayersModel) -> None:
    assert LayersModel.read(fetch_model(served)).sha256() == residual.sha256()
    asked = len(site.requests)
    fetch_model(served)
    assert len(site.requests) == asked


def test_a_folder_stands_for_its_model_json(site: Site, served: str, residual: LayersModel) -> None:
    assert LayersModel.read(fetch_model(f"{site.address}/m/")).sha256() == residual.sha256()


def test_a_broken_connection_is_continued_where_it_ended(site: Site, served: str, residual: LayersModel) -> None:
    path = f"/m/{shard(site).name}"
    site.answers[path] = cut_after(100)
    assert LayersModel.read(fetch_model(served)).sha256() == residual.sha256()
    assert [asked for name, asked in site.requests if name == path] == [None, "bytes=100-"]


def test_the_next_call_continues_what_failed(site: Site, served: str, residual: LayersModel) -> None:
    path = f"/m/{shard(site).name}"
    site.answers[path] = cut_after(100, times=download.ATTEMPTS)
    with pytest.raises(ModelFormatError, match="ended after 100 of"):
        fetch_model(served)
    assert LayersModel.read(fetch_model(served)).sha256() == residual.sha256()
    assert site.requests[-2] == (path, "bytes=100-")


def test_a_file_that_changed_in_between_is_fetched_anew(site: Site, served: str, residual: LayersModel) -> None:
    path = f"/m/{shard(site).name}"

    def old(handler: BaseHTTPRequestHandler, data: bytes) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.send_header("ETag", '"old"')
        handler.end_headers()
        handler.wfile.write(bytes(100))
        handler.close_connection = True
        del site.answers[path]
        return True

    site.answers[path] = old
    assert LayersModel.read(fetch_model(served)).sha256() == residual.sha256()


def test_a_damaged_copy_in_the_cache_is_repaired(site: Site, served: str, residual: LayersModel) -> None:
    folder = fetch_model(served)
    copy = folder / shard(site).name
    copy.write_bytes(bytes(copy.stat().st_size))
    assert LayersModel.read(fetch_model(served)).sha256() == residual.sha256()


def test_weights_that_are_not_the_pinned_ones_are_refused_and_not_kept(site: Site, served: str) -> None:
    with pytest.raises(ModelFormatError, match="not the published weights"):
        fetch_model(served, weights_sha256="0" * 64)
    assert LayersModel.read(fetch_model(served)).parameters == 170


def test_a_model_json_that_is_not_the_pinned_one_is_refused_before_its_weights_are_asked_for(site: Site, served: str) -> None:
    with pytest.raises(ModelFormatError, match=r"not the published model\.json"):
        fetch_model(served, model_sha256="0" * 64)
    assert site.paths() == ["/m/model.json"]
    assert LayersModel.read(fetch_model(served)).parameters == 170


def test_pins_count_for_what_is_in_the_cache_already(site: Site, served: str) -> None:
    folder = fetch_model(served)
    pin = hashlib.sha256((folder / "model.json").read_bytes()).hexdigest()
    asked = len(site.requests)
    assert fetch_model(served, model_sha256=pin) == folder
    assert len(site.requests) == asked
    with pytest.raises(ModelFormatError, match=r"not the published model\.json"):
        fetch_model(served, model_sha256="0" * 64)


@pytest.mark.parametrize(("change", "message"), [(-4, "where"), (4, "where")])
def test_a_weight_file_of_the_wrong_size_is_refused(site: Site, served: str, change: int, message: str) -> None:
    file = shard(site)
    file.write_bytes((file.read_bytes() + bytes(4))[: file.stat().st_size + change])
    with pytest.raises(ModelFormatError, match=message):
        fetch_model(served)


def test_a_server_without_lengths_cannot_flood_the_disk(site: Site, served: str, cache: Path) -> None:
    def endless(handler: BaseHTTPRequestHandler, data: bytes) -> bool:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(bytes(1 << 16))
        except OSError:
            return True

    site.answers[f"/m/{shard(site).name}"] = endless
    with pytest.raises(ModelFormatError, match="larger than"):
        fetch_model(served)
    assert sum(file.stat().st_size for file in cache.rglob("*") if file.is_file()) < 1 << 20


def test_a_silent_server_does_not_hang(site: Site, served: str) -> None:
    release = threading.Event()
    site.answers[f"/m/{shard(site).name}"] = lambda *_: release.wait(30)
    try:
        with pytest.raises(ModelFormatError, match="no data"):
            fetch_model(served, timeout=0.2)
    finally:
        release.set()


def test_paths_out_of_the_folder_are_refused_before_they_are_asked_for(site: Site, served: str) -> None:
    file = site.root / "m" / "model.json"
    document = json.loads(file.read_text())
    document["weightsManifest"][0]["paths"] = ["../../secret"]
    file.write_text(json.dumps(document))
    with pytest.raises(ModelFormatError, match="out of the model's folder"):
        fetch_model(served)
    assert site.paths() == ["/m/model.json"]


def test_a_missing_model_names_address_status_and_mirror(site: Site, cache: Path) -> None:
    with pytest.raises(ModelFormatError, match=r"/none/model\.json: the server answered 404") as caught:
        fetch_model(f"{site.address}/none/model.json")
    assert "PYBRIDGE_MIRROR" in (caught.value.hint or "")
    assert site.paths() == ["/none/model.json"]


def test_a_web_page_instead_of_a_model_is_refused(site: Site, cache: Path) -> None:
    (site.root / "model.json").write_text("<html>sign in</html>")
    with pytest.raises(ModelFormatError, match="a web page, not a model"):
        fetch_model(site.address)


def test_a_busy_server_is_asked_again(site: Site, served: str, residual: LayersModel) -> None:
    def busy(handler: BaseHTTPRequestHandler, data: bytes) -> bool:
        handler.send_error(503)
        del site.answers["/m/model.json"]
        return True

    site.answers["/m/model.json"] = busy
    assert LayersModel.read(fetch_model(served)).sha256() == residual.sha256()


def test_redirects_are_followed_but_not_to_files(site: Site, served: str, residual: LayersModel) -> None:
    def redirect(target: str) -> object:
        def answer(handler: BaseHTTPRequestHandler, data: bytes) -> bool:
            handler.send_response(302)
            handler.send_header("Location", target)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return True

        return answer

    site.answers["/m/model.json"] = redirect(f"{site.address}/m/other.json")
    (site.root / "m" / "other.json").write_bytes((site.root / "m" / "model.json").read_bytes())
    assert LayersModel.read(fetch_model(served)).sha256() == residual.sha256()
    site.answers["/x/model.json"] = redirect("file:///etc/passwd")
    with pytest.raises(ModelFormatError, match="not allowed"):
        fetch_model(f"{site.address}/x/model.json")


def test_the_mirror_replaces_scheme_and_host(site: Site, shared_data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYBRIDGE_MIRROR", f"{site.address}/mirror/")
    target = site.root / "mirror/storage.googleapis.com/tfjs-models/tfjs/mobilenet_v1_0.25_224"
    target.parent.mkdir(parents=True)
    target.symlink_to(shared_data / "weights" / "mobilenet_v1_0.25_224")
    base = resolve("mobilenet_v1_0.25_224")
    assert base.origin["kind"] == "zoo"
    assert base.model.parameters == 218_544
    assert all(path.startswith("/mirror/storage.googleapis.com/") for path in site.paths())


def test_another_model_under_a_name_of_the_zoo_is_refused(
    site: Site, shared_data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYBRIDGE_MIRROR", site.address)
    target = site.root / "storage.googleapis.com/tfjs-models/tfjs/mobilenet_v1_1.0_224"
    target.parent.mkdir(parents=True)
    target.symlink_to(shared_data / "weights" / "mobilenet_v1_0.25_224")
    with pytest.raises(ModelFormatError, match="475544 parameters"):
        resolve("mobilenet_v1_1.0_224")


def test_processes_that_start_at_once_do_not_fetch_twice(site: Site, served: str, residual: LayersModel) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: fetch_model(served), range(8)))
    assert len(set(folders)) == 1
    assert site.paths().count("/m/model.json") == 1
    assert LayersModel.read(folders[0]).sha256() == residual.sha256()


def test_progress_ends_at_the_size_of_the_weights(served: str) -> None:
    seen: list[tuple[int, int]] = []
    fetch_model(served, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (170 * 4, 170 * 4)


@pytest.mark.parametrize("url", ["ftp://host/model.json", "http://", "http://host:99999/m", "http://h o/m"])
def test_addresses_that_are_none_are_refused(url: str, cache: Path) -> None:
    with pytest.raises(ModelFormatError, match="not an http"):
        fetch_model(url)


def test_passwords_are_not_shown(cache: Path) -> None:
    with pytest.raises(ModelFormatError) as caught:
        fetch_model("http://user:secret@127.0.0.1:9/m/model.json?token=secret", timeout=1)
    assert "secret" not in str(caught.value)
