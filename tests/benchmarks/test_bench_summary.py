"""What is made of measured times: medians, ratios, targets, tables and the drawing."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from documents import document, full, measured

from pybridge.benchmark.catalogue import PEERS, WORK, WORKS, Work
from pybridge.benchmark.chart import chart
from pybridge.benchmark.results import BEGIN, END, read_results, with_section, write_results
from pybridge.benchmark.sizes import SIZES, THOROUGH
from pybridge.benchmark.summary import summarize
from pybridge.benchmark.table import markdown, shown
from pybridge.cli import main
from pybridge.errors import DataError

REPOSITORY = Path(__file__).resolve().parents[2]


def test_a_cost_is_the_median_of_its_repetitions() -> None:
    work = summarize(WORK["head"], {"pybridge": measured("head", "pybridge", 1.0, 9.0, 2.0)})
    assert work["peers"]["pybridge"]["median"] == 2.0
    assert work["peers"]["pybridge"]["spread"] == 2.0


def test_ratios_are_between_medians() -> None:
    work = summarize(
        WORK["head"],
        {"pybridge": measured("head", "pybridge", 1.0, 2.0, 3.0), "tfjs": measured("head", "tfjs", 5.0, 22.0, 22.0)},
    )
    assert work["peers"]["tfjs"]["times_as_fast"] == 11.0


@pytest.mark.parametrize(("keras", "met"), [(1.11, True), (1.09, False)])
def test_a_target_is_met_from_its_ratio_on(keras: float, met: bool) -> None:
    assert summarize(WORK["full"], full(1.0, keras, 20.0))["peers"]["keras-onednn"]["met"] is met


@pytest.mark.parametrize(("cost", "met"), [(0.39, True), (0.41, False)])
def test_a_limit_holds_for_pybridge_alone(cost: float, met: bool) -> None:
    assert summarize(WORK["upload"], {"pybridge": measured("upload", "pybridge", cost)})["met"] is met


def test_a_peer_that_failed_leaves_the_others_their_figures() -> None:
    failed = measured("full", "tfjs", failure="it held 9.0 GB of memory, more than the 8.0 GB allowed")
    page = markdown(document(full={**full(0.1, 0.2, 1.0), "tfjs": failed}))
    row = next(line for line in page.splitlines() if line.startswith("| Fine-tuning all"))
    assert "10.0 images/s" in row and "5.00 images/s (2.00x)" in row and "failed" in row
    assert "stock tfjs-node failed: it held 9.0 GB" in page


def test_the_table_says_what_was_missed() -> None:
    page = markdown(document(full=full(0.1, 0.105, 2.0)))
    row = next(line for line in page.splitlines() if line.startswith("| Fine-tuning all"))
    assert "1.10x Keras: **missed**" in row and "10.0x stock tfjs-node: met" in row


def test_less_work_of_slow_peers_is_marked() -> None:
    page = markdown(document(full=full(0.1, 0.2, 1.0)))
    row = next(line for line in page.splitlines() if line.startswith("| Fine-tuning all"))
    assert row.count("†") == 1 and "1.00 images/s (10.0x) †" in row


def test_memory_is_judged_against_its_targets() -> None:
    page = markdown(document(full=full(0.1, 0.2, 1.0, pybridge=13 * 10**8, keras_onednn=10**9, tfjs=10 * 10**9)))
    assert "holds 1.30 of Keras, oneDNN on (target: at most 1.20, **missed**) and 0.13 of stock tfjs-node" in page


@pytest.mark.parametrize(
    ("work", "cost", "text"),
    [
        ("full", 0.02, "50.0 images/s"),
        ("head", 0.25, "0.25 s"),
        ("latency", 0.0123, "12.3 ms"),
        ("call", 61e-6, "61.0 µs"),
        ("upload", 0.25, "4.00 GB/s"),
    ],
)
def test_costs_are_shown_as_the_work_is_spoken_of(work: str, cost: float, text: str) -> None:
    assert shown({"shown": WORK[work].shown, "unit": WORK[work].unit}, cost) == text


def test_the_drawing_is_well_formed_and_names_everybody() -> None:
    drawing = ElementTree.fromstring(
        chart(document(full=full(0.1, 0.05, 2.0), call={"pybridge": measured("call", "pybridge", 6e-5)}))
    )
    told = [element.text for element in drawing.iter() if element.text]
    assert {"Keras, oneDNN on", "stock tfjs-node", "Fine-tuning all of the network, training steps"} <= set(told)
    bars = [element for element in drawing.iter() if element.tag.endswith("rect")]
    assert len(bars) == 4
    assert all(float(bar.attrib["width"]) > 0 and float(bar.attrib["x"]) >= 0 for bar in bars)


@pytest.mark.parametrize("work", WORKS, ids=lambda work: str(work.name))
def test_all_peers_of_a_work_can_be_drawn(work: Work) -> None:
    drawing = ElementTree.fromstring(
        chart(document(**{work.name: {peer: measured(work.name, peer, 0.1) for peer in work.peers}}))
    )
    assert len([element for element in drawing.iter() if element.tag.endswith("rect")]) >= len(work.peers)


def test_results_are_written_and_read_again(tmp_path: Path) -> None:
    results = document(full=full(0.1, 0.2, 1.0))
    written = write_results(results, tmp_path / "new" / "folder")
    assert sorted(file.name for file in written) == ["bench.html", "bench.json", "bench.md", "bench.svg"]
    assert read_results(tmp_path / "new" / "folder" / "bench.json") == results
    assert "http" not in (tmp_path / "new" / "folder" / "bench.html").read_text("utf-8").replace("http://www.w3.org/2000/svg", "")


def test_figures_go_between_the_markers_of_a_page() -> None:
    results = document(full=full(0.1, 0.2, 1.0))
    page = with_section(f"# Title\n\n{BEGIN}\nold figures\n{END}\n\nEnd.\n", results)
    assert page.startswith(f"# Title\n\n{BEGIN}\n| work |")
    assert page.endswith(f"{END}\n\nEnd.\n")
    assert "old figures" not in page
    assert with_section(page, results) == page


@pytest.mark.parametrize("page", ["no markers", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n"])
def test_a_page_without_its_markers_is_refused(page: str) -> None:
    with pytest.raises(DataError, match="bench: begin"):
        with_section(page, document(full=full(0.1, 0.2, 1.0)))


@pytest.mark.parametrize("content", ["", "[]", '{"format": 99, "works": {}}'])
def test_other_files_are_no_results(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bench.json").write_text(content)
    assert main(["bench", "--from", str(tmp_path / "bench.json")]) == 2
    assert "bench.json" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "kind"), [("--work", "work"), ("--peers", "peer")])
def test_unknown_names_are_a_mistake_that_names_the_known(option: str, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", option, "nonsense"]) == 2
    told = capsys.readouterr().err
    assert f"no {kind} 'nonsense'" in told and "Known are:" in told


def test_the_list_names_all_works_and_peers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--list", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert list(facts["works"]) == [work.name for work in WORKS]
    assert list(facts["peers"]) == [peer.name for peer in PEERS]


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_nobody_does_more_than_pybridge(sizes: object) -> None:
    for work in WORKS:
        ours = sizes.plan(work.name, "pybridge")  # type: ignore[attr-defined]
        for peer in work.peers:
            plan = sizes.plan(work.name, peer)  # type: ignore[attr-defined]
            assert 0 < plan.units <= ours.units
            assert plan.reduced == (plan.units < ours.units) or work.name == "latency"


def test_the_thorough_sizes_are_those_of_the_targets() -> None:
    assert THOROUGH.plan("partial", "pybridge").images == 1000
    assert THOROUGH.plan("partial", "pybridge").epochs == 10
    assert THOROUGH.plan("upload", "pybridge").units == 0.1
    assert (THOROUGH.head_rows, THOROUGH.batch) == (4096, 32)


@pytest.mark.parametrize("name", ["README.md", "docs/performance.md"])
def test_published_figures_are_the_measured_ones(name: str) -> None:
    page = (REPOSITORY / name).read_text("utf-8")
    assert with_section(page, read_results(REPOSITORY / "docs" / "performance.json")) == page
