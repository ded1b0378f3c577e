"""Every reason code that the host can give is in docs/reference/identify-json.md, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path


def _codes_in(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            first = node.args[0] if node.args else None
            if node.func.id in ("Reason", "inconclusive") and isinstance(first, ast.Constant):
                found.add(str(first.value))
    return found


def test_reason_codes_are_documented(root: Path) -> None:
    host = root / "host" / "fieldassay"
    modules = [host / f"{name}.py" for name in ("identify", "mixtures", "spots", "fitness")]
    modules += sorted((host / "decide").glob("*.py"))
    given = set().union(*map(_codes_in, modules))
    answers = (host / "answers.py").read_text(encoding="utf-8")
    given |= set(re.findall(r'"code": "(\w+)"', answers))
    page = (root / "docs" / "reference" / "identify-json.md").read_text(encoding="utf-8")
    table = page.split("## Reason codes")[1]
    documented = set(re.findall(r"^\| [\w ]+ \| `(\w+)` \|", table, re.M))
    assert len(given) > 15
    assert given == documented
