"""Runs of equal lines of code that stand in two places; read by the test of the architecture."""

from __future__ import annotations

import ast
import io
import itertools
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

LEAST_LINES = 6
_PASSED_OVER = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENCODING, tokenize.ENDMARKER,
}  # fmt: skip

# A module, and the number of a line among its lines of code.
_Place = tuple[str, int]


@dataclass(frozen=True)
class Line:
    """A line of code: where it is, and its tokens with one blank between them."""

    module: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.module}:{self.number}"


def code_lines(module: str, source: str) -> list[Line]:
    """The lines of a module without imports, docstrings, decorators, comments and lone brackets."""
    left_out = set[int]()
    for node in ast.walk(ast.parse(source)):
        left_out.update(_not_counted(node))
    tokens: dict[int, list[str]] = defaultdict(list)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _PASSED_OVER:
            tokens[token.start[0]].append(token.string)
    texts = {number: " ".join(some) for number, some in tokens.items() if number not in left_out}
    return [
        Line(module, number, text)
        for number, text in texts.items()
        if any(letter.isalnum() for letter in text)
    ]


def _not_counted(node: ast.AST) -> Iterator[int]:
    """The numbers of the lines of a node that are no code to be shared."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from range(node.lineno, node.end_lineno + 1)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        for mark in node.decorator_list:
            yield from range(mark.lineno, mark.end_lineno + 1)
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    if is_text and isinstance(node.value.value, str):
        yield from range(node.lineno, node.end_lineno + 1)


def repeated(sources: Mapping[str, str], *, least: int = LEAST_LINES) -> list[str]:
    """Say each pair of places, in modules by name, that share ``least`` lines or more in a row."""
    lines = {module: code_lines(module, source) for module, source in sources.items()}
    places: dict[tuple[str, ...], list[_Place]] = defaultdict(list)
    for module, own in lines.items():
        for first in range(len(own) - least + 1):
            run = tuple(line.text for line in own[first : first + least])
            places[run].append((module, first))
    pairs = {
        (one, other)
        for some in places.values()
        for one, other in itertools.combinations(some, 2)
        if one[0] != other[0] or other[1] - one[1] >= least
    }
    starts = [pair for pair in sorted(pairs) if _line_before(pair) not in pairs]
    return [" ~ ".join(str(lines[name][at]) for name, at in pair) for pair in starts]


def _line_before(pair: tuple[_Place, _Place]) -> tuple[_Place, _Place]:
    (one, at), (other, there) = pair
    return (one, at - 1), (other, there - 1)
