"""Text of others, such as names of files and classes, shown without obeying it.

A terminal obeys what follows an ESC, a log has one entry a line, and a bidirectional control shows ``gpj.exe`` as ``exe.jpg``.
Whatever is shown to people goes through here; what programs read stays exact.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

# Persian, the languages of India and emoji cannot be written without these two joiners.
_JOINERS = "\u200c\u200d"
# Controls; formatting, among it all that is bidirectional or invisible; half characters; ends of lines and paragraphs.
_OBEYED = ("Cc", "Cf", "Cs", "Zl", "Zp")
# Only these are looked at one by one.
_UNUSUAL = re.compile(r"[^ -~]")


def printable(value: object) -> str:
    r"""A name as one line: each character that would be obeyed or unseen is written as Python writes it in source text.

    Args:
        value: A name, a path, or whatever else `str` is shown of.

    Example:
        >>> printable("cat\x1b[2J\n")
        'cat\\x1b[2J\\n'
    """
    return _UNUSUAL.sub(_python_escape, str(value))


def listed(names: Iterable[object]) -> str:
    """Names, each as by `printable`, with commas between."""
    return ", ".join(map(printable, names))


def suggest(word: str, known: Iterable[str]) -> str:
    """Write a hint that names what is closest to a mistyped word.

    Example:
        >>> suggest("relo", ["conv", "relu"])
        'Did you mean relu?'
    """
    names = [printable(name) for name in known]
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"There are: {', '.join(names[:10])}" + (f" and {len(names) - 10} more." if len(names) > 10 else ".")


def printable_lines(text: str) -> str:
    """The same for a whole message, whose ends of lines and tabs are ours and stay.

    Names in it went through `printable` before: afterwards nobody can tell whose an end of line is.
    """
    return _UNUSUAL.sub(lambda match: match[0] if match[0] in "\n\t" else _python_escape(match), text)


def json_text(document: Any, *, indent: int | None = 2) -> str:
    r"""A JSON document that a terminal shows as it is: ``\u202e`` for what would be obeyed, which every reader turns back.

    Raises:
        ValueError: A number is not finite, which JSON cannot say.

    Example:
        >>> json_text(["ä\u202e"], indent=None)
        '["ä\\u202e"]'
    """
    text = json.dumps(document, indent=indent, ensure_ascii=False, allow_nan=False)
    # Ends of lines are those of the indentation: within texts they are escaped already.
    return _UNUSUAL.sub(lambda match: json.dumps(match[0])[1:-1] if match[0] != "\n" and _is_obeyed(match[0]) else match[0], text)


def markdown_code(value: object) -> str:
    """A name as code in Markdown, whatever it contains (CommonMark 0.31, section 6.1).

    Example:
        >>> markdown_code("a`b")
        '``a`b``'
    """
    shown = printable(value)
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    padding = " " if not shown.strip() or shown[0] == "`" or shown[-1] == "`" else ""
    return f"{fence}{padding}{shown}{padding}{fence}"


def _is_obeyed(character: str) -> bool:
    return character not in _JOINERS and unicodedata.category(character) in _OBEYED


def _python_escape(match: re.Match[str]) -> str:
    character = match[0]
    return character.encode("unicode_escape").decode("ascii") if _is_obeyed(character) else character
