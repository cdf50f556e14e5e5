"""The FastAPI example answers."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "fastapi-service" / "app.py"


@pytest.mark.slow
def test_it_answers_refuses_and_streams() -> None:
    from fastapi.testclient import TestClient

    spec = importlib.util.spec_from_file_location("fastapi_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with TestClient(module.app) as client:
        assert client.get("/slug", params={"title": "Crème brûlée!"}).json() == {"slug": "creme-brulee"}
        assert client.get("/slug", params={"title": "!"}).status_code == 422
        assert client.get("/words", params={"title": "one, two"}).text == "one\ntwo\n"
