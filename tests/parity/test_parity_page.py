"""The parity report as a page."""

from __future__ import annotations

from pathlib import Path

from pybridge.parity import ParityReport, RuntimeResult
from pybridge.parity.findings import LayerFinding
from pybridge.parity.page import render

ROW = RuntimeResult(
    "tfjs-wasm",
    max_abs_diff=0.5,
    max_abs_diff_features=None,
    max_ulp_diff=9,
    label_agreement=0.5,
    identical=False,
    worst_image="cat <b>",
    seconds=1.0,
    max_rel_diff=0.5,
    inputs=2,
    tolerance=0.1,
    excess=5.0,
    examples={0: (0.0, 0.0), 1: (0.5, 5.0)},
    outputs=(0.5, 0.0),
)
MISSING = RuntimeResult.missing("browser-webgl", "unavailable", "no browser <here>", asked=False)
FINDING = LayerFinding(
    "tfjs-wasm",
    "cat <b>",
    compared=3,
    layer="conv",
    class_name="Conv2D",
    difference=0.5,
    tolerance=0.1,
    alone=True,
    reference_config={"padding": "same"},
    other_config={"padding": "valid"},
    causes=("padding <x>",),
)
REPORT = ParityReport("Python", None, 2, (ROW, MISSING), ("dog", "cat <b>"), "formula", 1e-7, 31, (FINDING,))


def test_the_page_has_verdict_table_heat_map_and_cause() -> None:
    page = render(REPORT, "my <model>")
    assert "The runtimes do not agree." in page
    assert 'class="wrong strong"' in page
    assert page.count("<rect") == 1
    assert "no browser &lt;here&gt;" in page
    assert "padding &lt;x&gt;" in page
    for raw in ("<model>", "cat <b>", "<here>", "<x>"):
        assert raw not in page


def test_the_page_loads_nothing_from_elsewhere() -> None:
    page = render(REPORT, "model")
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_page_is_written_whole(tmp_path: Path) -> None:
    REPORT.write_html(tmp_path / "parity.html")
    assert (tmp_path / "parity.html").read_text("utf-8").endswith("</html>\n")
    assert [file.name for file in tmp_path.iterdir()] == ["parity.html"]


def test_json_has_numbers_only_and_lists_what_was_not_compared() -> None:
    facts = REPORT.to_dict()
    assert set(facts["runtimes"]) == {"tfjs-wasm"}
    assert facts["not_compared"] == {"browser-webgl": {"status": "unavailable", "reason": "no browser <here>"}}
    assert facts["layers"][0]["causes"] == ["padding <x>"]
