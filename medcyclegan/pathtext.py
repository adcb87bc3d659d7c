"""Names on disk as text: they are bytes, and may be no text at all.

Python keeps bytes of a name that are no UTF-8 as lone surrogates (PEP 383). Files can be opened by
such names, but no text in UTF-8 can hold them.
"""

from __future__ import annotations

from pathlib import PurePath


def path_text(path: PurePath | str) -> str:
    """Return a path with what is no UTF-8 in it escaped: the byte F6 becomes ``\\xf6``.

    The text is for people and for records, and is the path itself where that is valid text.
    """
    text = path.as_posix() if isinstance(path, PurePath) else path
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
