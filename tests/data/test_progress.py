import pytest

from pybridge.progress import progress


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
