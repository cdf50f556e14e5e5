"""Fetch one file over http(s), continuing what an earlier attempt left."""

from __future__ import annotations

import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PIECE = 1 << 16
_RETRIED = (408, 425, 429, 500, 502, 503, 504)


class FetchError(Exception):
    """A file could not be fetched.

    Attributes:
        temporary: Whether trying again may help.
    """

    def __init__(self, message: str, *, temporary: bool) -> None:
        super().__init__(message)
        self.temporary = temporary


def fetch(
    url: str,
    file: Path,
    limit: int,
    expected: int | None = None,
    timeout: float = 30.0,
    report: Callable[[int], None] | None = None,
) -> bool:
    """Fetch ``url`` into ``file``, which appears only when it is whole.

    What has arrived is kept in ``<file>.part`` beside ``<file>.part.validator`` (the server's ETag or date), so that
    the rest can be asked for as long as the server still has the same file.

    Args:
        url: http(s) address.
        file: Where to put it.
        limit: The most bytes that it may have.
        expected: The bytes that it must have, where that is known.
        timeout: Seconds without any byte after which the connection counts as dead.
        report: Told the bytes that are there after each piece.

    Returns:
        Whether its length was known, so that it cannot have ended early unnoticed.

    Raises:
        FetchError: If it cannot be fetched, is too large or ends early.
    """
    part, validator = file.with_name(f"{file.name}.part"), file.with_name(f"{file.name}.part.validator")
    start = part.stat().st_size if part.exists() and validator.exists() else 0
    if start > limit:
        part.unlink()
        start = 0
    headers = {"Accept-Encoding": "identity", "User-Agent": "pybridge"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": validator.read_text()}
    try:
        with _open(url, headers, timeout) as response:
            start, total = _agreed(response, start)
            if expected is not None and total is not None and total != expected:
                part.unlink(missing_ok=True)
                raise FetchError(f"has {total} bytes where {expected} belong", temporary=False)
            if total is not None and total > limit:
                raise FetchError(f"has {total} bytes, more than the {limit} expected", temporary=False)
            identity = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
            if identity and not identity.startswith("W/"):
                validator.write_text(identity)
            else:
                validator.unlink(missing_ok=True)
            size = _copy(response, part, start, limit, report)
            chunked = response.headers.get("Transfer-Encoding") == "chunked"
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            part.unlink(missing_ok=True)
        raise FetchError(
            f"the server answered {error.code} {error.reason}", temporary=error.code in _RETRIED or error.code == 416
        ) from error
    except urllib.error.URLError as error:
        raise FetchError(f"no connection ({error.reason})", temporary=True) from error
    except TimeoutError as error:
        raise FetchError(f"no data for {timeout:g} seconds", temporary=True) from error
    except (http.client.HTTPException, ConnectionError) as error:
        raise FetchError(f"the connection broke ({error!r})", temporary=True) from error
    wanted = total if total is not None else expected
    if wanted is not None and size != wanted:
        raise FetchError(f"ended after {size} of {wanted} bytes", temporary=True)
    part.replace(file)
    validator.unlink(missing_ok=True)
    return wanted is not None or chunked


def _agreed(response: Any, start: int) -> tuple[int, int | None]:
    """Read from the answer where its data begin and how long the whole file is."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise FetchError("the server compresses the file although it was asked not to", temporary=False)
    length = response.headers.get("Content-Length", "")
    size = int(length) if re.fullmatch(r"\d{1,15}", length) else None
    if response.status != 206:
        return 0, size
    match = re.fullmatch(r"bytes (\d{1,15})-\d{1,15}/(\d{1,15}|\*)", response.headers.get("Content-Range", ""))
    if not match or int(match[1]) != start:
        raise FetchError("the server sent another part of the file than was asked for", temporary=False)
    if match[2] != "*":
        return start, int(match[2])
    return start, None if size is None else start + size


def _copy(response: Any, part: Path, start: int, limit: int, report: Callable[[int], None] | None) -> int:
    size = start
    with part.open("r+b" if start else "wb") as stream:
        stream.seek(start)
        while piece := response.read1(_PIECE):
            size += len(piece)
            if size > limit:
                raise FetchError(f"is larger than the {limit} bytes expected", temporary=False)
            stream.write(piece)
            if report:
                report(size)
    return size


class _WebRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not away from https and not to other schemes (urllib would also go to ftp)."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        secure = req.full_url.startswith("https:")
        if not newurl.startswith("https:" if secure else ("http:", "https:")):
            raise FetchError(f"is redirected to {newurl[:100]!r}, which is not safe", temporary=False)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, headers: dict[str, str], timeout: float) -> Any:
    opener = urllib.request.build_opener(_WebRedirects)
    return opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)
