"""Code is loaded from the cache: one that others may change is refused, and the advice mends it."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from pybridge.errors import SetupError
from pybridge.runtime import ensure
from pybridge.storage.cache import cache_part, keep_in_cache, make_cache_part
from pybridge.storage.trust import check_trusted

STRANGER = 54321

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with one thing in it."""
    folder = tmp_path / "above" / "cache"
    (folder / "runtime" / "addon" / "key").mkdir(parents=True)
    (folder / "runtime" / "addon" / "key" / "binding.node").write_text("code")
    for path in (folder.parent, folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    monkeypatch.setenv("PYBRIDGE_CACHE", str(folder))
    return folder


def check(cache: Path) -> None:
    check_trusted(cache, cache / "runtime" / "addon" / "key" / "binding.node")


def follow(advice: str | None) -> None:
    """Does what the last part of a hint says, in a shell."""
    assert advice is not None
    subprocess.run(advice.rpartition(": ")[2], shell=True, check=True)


PLACES = ["", "runtime", "runtime/addon", "runtime/addon/key", "runtime/addon/key/binding.node"]


def test_a_cache_that_this_user_alone_may_write_to_is_trusted(cache: Path) -> None:
    check(cache)
    for path in (cache, *cache.rglob("*")):
        path.chmod(0o700)
    check(cache)


def test_a_cache_that_does_not_exist_yet_is_trusted(tmp_path: Path) -> None:
    check(tmp_path / "new" / "cache")


@pytest.mark.parametrize("place", PLACES)
def test_what_everybody_may_write_to_is_refused_until_the_advice_is_followed(cache: Path, place: str) -> None:
    (cache / place).chmod(0o777)
    with pytest.raises(SetupError, match=f"Everybody may write to {cache / place}") as caught:
        check(cache)
    follow(caught.value.hint)
    check(cache)


@only_root
@pytest.mark.parametrize("place", PLACES)
def test_what_belongs_to_somebody_else_is_refused_until_the_advice_is_followed(cache: Path, place: str) -> None:
    os.chown(cache / place, STRANGER, -1)
    with pytest.raises(SetupError, match=f"{cache / place} belongs to user {STRANGER}, not to you") as caught:
        check(cache)
    follow(caught.value.hint)
    check(cache)


@only_root
def test_what_a_group_of_others_may_write_to_is_refused_until_the_advice_is_followed(cache: Path) -> None:
    os.chown(cache, -1, STRANGER)
    cache.chmod(0o775)
    with pytest.raises(SetupError, match=f"The group {STRANGER} may write to {cache}") as caught:
        check(cache)
    follow(caught.value.hint)
    check(cache)


@only_root
def test_the_group_that_a_user_has_alone_may_write(cache: Path) -> None:
    cache.chmod(0o775)
    assert cache.stat().st_gid == 0
    check(cache)


def test_a_link_is_judged_by_what_it_leads_to(cache: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir()
    target.chmod(0o777)
    (cache / "models").symlink_to(target)
    with pytest.raises(SetupError, match=r"Everybody may write to .*models"):
        check_trusted(cache, cache / "models")


def test_a_cache_that_others_could_rename_is_refused_until_the_advice_is_followed(cache: Path) -> None:
    cache.parent.chmod(0o777)
    with pytest.raises(SetupError, match=f"Everybody may write to {cache.parent}, and so put another folder") as caught:
        check(cache)
    follow(caught.value.hint)
    assert cache.parent.stat().st_mode & stat.S_ISVTX
    check(cache)


def test_a_name_with_spaces_and_quotes_does_not_spoil_the_advice(cache: Path) -> None:
    strange = cache.with_name("it's mine")
    cache.rename(strange)
    strange.chmod(0o777)
    with pytest.raises(SetupError) as caught:
        check(strange)
    follow(caught.value.hint)
    check(strange)


def test_no_part_of_an_unsafe_cache_is_used(cache: Path) -> None:
    cache.chmod(0o777)
    for use in (cache_part, make_cache_part):
        with pytest.raises(SetupError, match="Everybody may write"):
            use("programs")
    with pytest.raises(SetupError, match="Everybody may write"):
        ensure()


def test_a_cache_made_under_an_open_umask_is_safe_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYBRIDGE_CACHE", str(tmp_path / "new" / "cache"))
    before = os.umask(0)
    try:
        part = make_cache_part("programs")
        (tmp_path / "made").mkdir()
        (tmp_path / "made" / "graph.pb").write_text("code")
        keep_in_cache(tmp_path / "made", part / "key")
    finally:
        os.umask(before)
    check_trusted(tmp_path / "new" / "cache", part / "key" / "graph.pb")
    check_trusted(tmp_path / "new")
