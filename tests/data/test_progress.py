import pytest

from pybridge.progress import download_progress, progress


def test_a_bar_on_request_shows_count_values_and_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYBRIDGE_PROGRESS", "1")
    with progress(4, "features", "image") as bar:
        bar.update(3)
        bar.set_postfix(loss="0.25")
        bar.update()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "features: 100%" in captured.err
    assert "4/4" in captured.err
    assert "loss=0.25" in captured.err
    assert "<" in captured.err


@pytest.mark.parametrize("override", ["", "0"])
def test_nothing_is_written_where_nobody_looks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], override: str
) -> None:
    monkeypatch.setenv("PYBRIDGE_PROGRESS", override)
    with progress(None, "download", "B") as bar:
        bar.set_total(10)
        bar.update(10)
        bar.set_postfix(part=1)
    assert capsys.readouterr() == ("", "")


def test_bytes_are_counted_in_thousands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PYBRIDGE_PROGRESS", "1")
    with progress(None, "download", "B") as bar:
        bar.set_total(5_000_000)
        bar.update(5_000_000)
    assert "5.00M/5.00M" in capsys.readouterr().err


def test_a_download_shows_nothing_until_something_comes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYBRIDGE_PROGRESS", "1")
    with download_progress():
        pass
    assert capsys.readouterr().err == ""
    with download_progress() as report:
        report(500_000, 2_000_000)
        report(2_000_000, 2_000_000)
    shown = capsys.readouterr().err
    assert "Download: 100%" in shown
    assert "2.00M/2.00M" in shown


def test_a_bar_that_ends_early_is_full(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PYBRIDGE_PROGRESS", "1")
    with progress(100, "Training", "example") as bar:
        bar.update(40)
        bar.finish()
    assert "Training: 100%" in capsys.readouterr().err.split("\r")[-1]
