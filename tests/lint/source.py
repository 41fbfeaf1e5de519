"""source.py - what all lints share: which files there are, and C text without its comments and strings.

A finding is a line "path:line: [rule] sentence". Lints return lists of findings; lint.py prints them and decides.
"""
import os
import re
from dataclasses import dataclass

SKIPPED_FOLDERS = {".git", ".cache", ".claude", "build", "data", "__pycache__"}


@dataclass(frozen=True)
class Finding:
    path: str
    line: int
    rule: str
    sentence: str
    is_warning: bool = False

    def __str__(self):
        kind = "warning" if self.is_warning else "error"
        return f"{self.path}:{self.line}: {kind}: [{self.rule}] {self.sentence}"


def files_below(root):
    """Paths relative to root, sorted, without build output."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in SKIPPED_FOLDERS)
        found += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return sorted(found)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def is_c(path):
    return path.endswith((".c", ".h"))


_TOKENS = re.compile(
    r"""/\*.*?\*/            # comment
      | //[^\n]*
      | "(?:\\.|[^"\\\n])*"  # string
      | '(?:\\.|[^'\\\n])*'  # character
    """,
    re.VERBOSE | re.DOTALL,
)


def _blank(match):
    text = match.group(0)
    if text[0] in "\"'":
        return text[0] + " " * (len(text) - 2) + text[0]
    return re.sub(r"[^\n]", " ", text)


def code_only(text):
    """Comments and the insides of strings become spaces; every line keeps its number and length."""
    return _TOKENS.sub(_blank, text)


def without_directives(code):
    """Preprocessor lines and their continuations become empty too."""
    lines = code.split("\n")
    inside = False
    for i, line in enumerate(lines):
        if inside or line.lstrip().startswith("#"):
            inside = line.endswith("\\")
            lines[i] = ""
    return "\n".join(lines)


def line_of(text, position):
    return text.count("\n", 0, position) + 1
