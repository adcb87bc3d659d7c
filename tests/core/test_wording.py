"""Numbers in sentences, and words that are not used any more."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from medcyclegan.core.text import counted

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 patients"), (1, "1 patient"), (2, "2 patients")]
)
def test_a_number_with_its_noun(number: int, said: str) -> None:
    assert counted(number, "patient") == said


# Words of our own that gave way to those of the field, by what to say. Keys of JSON, columns and
# states that were published keep them: as whole literals in code, as `code` in documents.
OLD_WORDS = {
    r"\bsigns\b": "features",
    r"\bdoubts?\b|\bdoubted\b": "out-of-distribution, warnings",
    r"model (knows|does not know)|does the model know": "reference ranges",
    r"\bpassports?\b": "source header",
}
PUBLISHED = re.compile(r"(signs(_note)?|(medcyclegan_)?doubts)")
DOCUMENTS = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
TEMPLATES = sorted((ROOT / "medcyclegan").rglob("*.j2"))
SOURCES = sorted((ROOT / "medcyclegan").rglob("*.py"))


def old_words(text: str) -> list[str]:
    """The old words in a text."""
    found = [re.findall(f"({pattern})", text, re.IGNORECASE) for pattern in OLD_WORDS]
    return [word[0] if isinstance(word, tuple) else word for words in found for word in words]


def prose(markdown: str) -> str:
    """A document without code."""
    return re.sub(r"```.*?```|`[^`]*`", "", markdown, flags=re.DOTALL)


def shown(template: str) -> str:
    """What a template shows, without its expressions and tags."""
    return re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|<[^>]*>", "", template, flags=re.DOTALL)


def messages(source: str) -> str:
    """The texts in a module, without docstrings and published keys."""
    tree = ast.parse(source)
    bodies = [node.body for node in ast.walk(tree) if hasattr(node, "body")]
    docstrings = {
        id(body[0].value)
        for body in bodies
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr)
    }
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if id(node) not in docstrings and not PUBLISHED.fullmatch(node.value)
    ]
    return "\n".join(texts)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documents_speak_as_the_field_does(path: Path) -> None:
    assert old_words(prose(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_pages_speak_as_the_field_does(path: Path) -> None:
    assert old_words(shown(path.read_text(encoding="utf-8"))) == []


def test_messages_speak_as_the_field_does() -> None:
    found = {p.name: old_words(messages(p.read_text(encoding="utf-8"))) for p in SOURCES}
    assert {name: words for name, words in found.items() if words} == {}


def test_the_control_texts_with_old_words() -> None:
    said = 'def f(n):\n    """All signs."""\n    return {"signs": f"{n} signs; the model knows"}'
    assert old_words(messages(said)) == ["signs", "model knows"]
    assert old_words(prose("`signs` are Signs.\n```\ndoubts\n```\n")) == ["Signs"]
    assert old_words(shown("{{ row.doubts }}<p class='doubts'>In doubt</p>")) == ["doubt"]
    assert old_words("doubtful, designs, a sign") == []
