import dataclasses
import io
import math
import os
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pybridge.data import read_folder
from pybridge.errors import DataError
from pybridge.parity.browser import find_browser
from pybridge.report import Prediction, ReportData, thumbnail, write_report
from pybridge.report.curves import ticks
from pybridge.report.run_page import MAX_WRONG_SHOWN, render

VOID = {"meta", "img", "br", "link", "input", "line", "circle", "polyline"}
HISTORY = [
    {"epoch": e, "loss": 1 / e, "accuracy": 1 - 0.5 / e, "val_loss": 1.2 / e, "val_accuracy": 0.9 - 0.4 / e} for e in range(1, 9)
]


class Page(HTMLParser):
    """Tags and text of a page; fails where tags are not closed in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(source)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [a for t, a in self.tags if t == tag and all(a.get(k.replace("_", "-")) == v for k, v in wanted.items())]


def small(**changes: object) -> ReportData:
    wrong = Prediction("photos/glass/7.jpg", 1, 0, 0.83, thumbnail(np.full((40, 60, 3), 90, np.uint8)))
    right = Prediction("photos/paper/1.jpg", 0, 0, 0.99)
    data = ReportData("run one", ("paper", "glass"), HISTORY, 6, np.array([[9, 0], [1, 5]]), [right, wrong])
    return dataclasses.replace(data, **changes)  # type: ignore[arg-type]


def test_the_page_says_how_good_the_model_is() -> None:
    page = Page(render(small()))
    assert "93.3 %" in page.text
    assert "2 classes, 15 held-out images, epoch 6 of 8 kept" in page.text
    assert "Loss by epoch: training from 1 to 0.125" in str(page.all("svg")[0]["aria-label"])


def test_it_needs_nothing_from_elsewhere() -> None:
    source = render(small(settings={"base": "https://example.org/model.json"}))
    page = Page(source)
    for _, attributes in page.tags:
        for key in ("src", "href", "action", "srcset", "data"):
            assert (attributes.get(key) or "data:").startswith("data:")
    assert not page.all("link")
    assert not page.all("iframe")
    assert "url(" not in source
    assert "@import" not in source
    assert (page.all("meta", http_equiv="Content-Security-Policy")[0]["content"] or "").startswith("default-src 'none'")


NASTY = "<script>alert(1)</script>\"'&\u202egpj.exe"


def test_whatever_users_name_is_only_text() -> None:
    page = Page(
        render(
            small(
                title=NASTY,
                class_names=(NASTY, "</title><b>b"),
                predictions=[Prediction(f"x/{NASTY}", 0, 1, 0.5, None)],
                settings={NASTY: NASTY, "nested": {NASTY: [NASTY]}},
                versions={NASTY: NASTY},
                parity={"passed": False, "runtimes": {NASTY: {NASTY: NASTY}}, NASTY: NASTY},
            )
        )
    )
    assert len(page.all("script")) == 1
    assert "alert(1)" in page.text
    named = {key for _, attributes in page.tags for key in attributes}
    assert not {key for key in named if key.startswith("on")}


def test_file_names_that_are_not_unicode_are_written_all_the_same(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", small(predictions=[Prediction("bad\udcff.jpg", 0, 1, 0.5)]))
    assert "bad?.jpg" in (tmp_path / "report.html").read_text("utf-8")


def test_a_cell_with_pictures_is_a_button_that_finds_them() -> None:
    page = Page(render(small()))
    assert page.all("button", data_true="1", data_said="0")[0]["aria-label"] == (
        "true glass, said paper: 1 (16.7\N{NO-BREAK SPACE}%): show images"
    )
    assert not page.all("button", data_true="1", data_said="1")
    shown = page.all("figure", data_true="1", data_said="0")
    assert len(shown) == 1
    assert "hidden" not in shown[0]
    assert "hidden" in page.all("figure", data_true="0", data_said="0")[0]


def in_browser(page: Path, script: str, profile: Path) -> str:
    """The page's content after a script ran in it."""
    page.write_text(page.read_text("utf-8").replace("</body>", f"<script>{script}</script></body>"), "utf-8")
    browser = find_browser()
    if browser is None:
        pytest.skip("there is no browser")
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    command = [browser, "--headless=new", *root, f"--user-data-dir={profile}", "--dump-dom", page.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def visible(source: str) -> list[tuple[str | None, str | None]]:
    return [
        (each["data-true"], each["data-said"])
        for each in Page(source).all("figure")
        if "data-true" in each and "hidden" not in each
    ]


@pytest.mark.slow
def test_a_click_on_a_cell_shows_its_images_and_a_button_all_wrong_ones_again(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", small())
    click = "document.querySelector('table.matrix button[data-true=\"0\"]').click();"
    clicked = in_browser(tmp_path / "report.html", click, tmp_path / "profile")
    assert visible(clicked) == [("0", "0")]
    assert "true paper, said paper: 9" in Page(clicked).text
    again = in_browser(tmp_path / "report.html", "document.getElementById('all-wrong').click();", tmp_path / "profile")
    assert visible(again) == [("1", "0")]


def test_every_picture_has_a_description_and_every_table_headers() -> None:
    page = Page(render(small(settings={"seed": 1}, parity={"passed": True, "runtimes": {"node": {"max_abs_diff": 0.0}}})))
    assert all(attributes.get("alt") for attributes in page.all("img"))
    assert page.all("html")[0]["lang"] == "en"
    assert all("scope" in attributes for attributes in page.all("th"))
    assert len(page.all("th")) >= 4 * len(page.all("table")) / 2


def test_wrong_predictions_are_capped_with_a_note() -> None:
    many = [Prediction(f"{i}.jpg", 0, 1, i / 1000) for i in range(700)]
    page = Page(render(small(confusion=np.array([[10, 900], [0, 5]]), predictions=many)))
    assert len(page.all("figure", data_true="0")) == MAX_WRONG_SHOWN
    assert f"{MAX_WRONG_SHOWN} of the 900 wrong predictions" in page.text
    assert page.text.index("699.jpg") < page.text.index("698.jpg")
    assert "399.jpg" not in page.text


def test_a_perfect_model_is_told_so() -> None:
    page = Page(render(small(confusion=np.diag([4, 4]), predictions=[])))
    assert "Every held-out image was recognized." in page.text
    assert "Confused most often" not in page.text


@pytest.mark.parametrize("history", [[], HISTORY[:1], [{"epoch": 1, "loss": 0.5, "accuracy": 0.7}]])
def test_few_epochs_and_no_validation_are_drawn(history: list[dict[str, float]]) -> None:
    Page(render(small(history=history, best_epoch=None)))


def test_values_that_are_not_finite_leave_gaps() -> None:
    broken = [*HISTORY, {"epoch": 9, "loss": math.nan, "accuracy": 0.5, "val_loss": math.inf}]
    page = Page(render(small(history=broken)))
    points = [attributes["points"] or "" for attributes in page.all("polyline")]
    assert points
    assert all(math.isfinite(float(value)) for value in re.findall(r"[^ ,]+", " ".join(points)))


@pytest.mark.parametrize("classes", [41, 200, 1000])
def test_many_classes_become_a_picture_and_a_list_of_confusions(classes: int) -> None:
    confusion = np.diag(np.full(classes, 5))
    confusion[7, 3] = 4
    names = [f"class {i}" for i in range(classes)]
    shown = [Prediction("a.jpg", 7, 3, 0.9)]
    source = render(small(class_names=names, confusion=confusion, predictions=shown))
    page = Page(source)
    assert len(source) < 1_000_000
    assert (page.all("img")[0]["src"] or "").startswith("data:image/png")
    assert page.all("button", data_true="7", data_said="3")
    assert "class 7 class 3 4 44.4 %" in page.text


def test_forty_classes_are_still_a_table() -> None:
    page = Page(render(small(class_names=[str(i) for i in range(40)], confusion=np.eye(40, dtype=int), predictions=[])))
    assert not page.all("img")
    assert len(page.all("td", **{"class": "none"})) == 40 * 39


def test_parity_is_shown_where_it_was_checked() -> None:
    runtimes = {"node": {"max_abs_diff": 0.0, "label_agreement": 1.0}, "python": {"max_abs_diff": 1e-7}}
    page = Page(render(small(parity={"passed": True, "images": 50, "runtimes": runtimes})))
    assert "✓ All runtimes agree." in page.text
    assert "node 0 100.00 % python 1e-07 \N{EN DASH}" in page.text
    assert "Parity" not in Page(render(small())).text


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="2 classes, but there are 3"):
        render(small(class_names=("a", "b", "c")))
    with pytest.raises(DataError, match=r"x\.jpg"):
        render(small(predictions=[Prediction("x.jpg", 0, 2, 0.5)]))


def test_a_report_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(path, small())
    assert path.read_text("utf-8").startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(DataError, match="cannot write"):
        write_report(tmp_path / "gone" / "report.html", small())


def test_real_photos_become_thumbnails(shared_data: Path) -> None:
    photos = read_folder(shared_data / "trashnet")
    predictions = []
    for i in range(0, len(photos), 100):
        label = int(photos.labels[i])
        small_photo = thumbnail(Path(photos.source(i)))
        assert small_photo is not None
        with Image.open(io.BytesIO(small_photo)) as image:
            assert max(image.size) == 96
        predictions.append(Prediction(photos.source(i), label, (label + 1) % 6, 0.5, small_photo))
    confusion = np.roll(np.diag(photos.counts), 1, axis=1)
    page = Page(render(small(class_names=photos.class_names, confusion=confusion, predictions=predictions)))
    assert len(page.all("img")) == len(predictions)
    assert "cardboard1.jpg" in page.text


def test_thumbnails_are_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((64, 32, 3), np.uint8)
    pixels[:32] = 255
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    made = thumbnail(tmp_path / "turned.jpg", 64)
    assert made is not None
    upright = np.asarray(Image.open(io.BytesIO(made)).convert("L"))
    # Orientation 6: the top of the stored picture is the right side of the upright one.
    assert upright.shape == (32, 64)
    assert upright[:, :28].max() < 60
    assert upright[:, 36:].min() > 190


def test_what_cannot_be_read_has_no_thumbnail(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("hello")
    assert thumbnail(tmp_path / "text.jpg") is None
    assert thumbnail(tmp_path / "gone.jpg") is None


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.3, 0.31), (5, 5), (0, 0), (-3, 1e6), (1e-9, 2e-9)])
def test_axis_marks_cover_the_values_in_few_even_steps(low: float, high: float) -> None:
    marks = ticks(low, high)
    assert marks[0] <= low
    assert marks[-1] >= high
    assert 2 <= len(marks) <= 9
    assert np.allclose(np.diff(marks), marks[1] - marks[0])
