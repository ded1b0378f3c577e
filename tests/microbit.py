"""A 32-bit board with float32 and a heap of 9 kB: MicroPython 1.9.2 of the micro:bit, in QEMU.

Needs `qemu-system-arm` and `microbit-micropython`. Its prompt is the older one without raw-paste.
A module of the firmware is too large for its compiler: `Twins` sends it in pieces, a function each.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from fieldassay.bench.repl import Repl

from tests.conftest import MICROBIT

_START = [
    *("-M", "microbit", "-nographic", "-monitor", "none", "-serial", "pty"),
    *("-device", f"loader,file={MICROBIT}"),
]


class Microbit:
    """A running board; `port` is the path of its serial port."""

    def __init__(self, qemu: str) -> None:
        self._process = subprocess.Popen(
            [qemu, *_START],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        found = re.search(r"redirected to (/dev/\S+)", said)
        assert found, said
        self.port = found[1]

    def __enter__(self) -> Microbit:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class _Strip(ast.NodeTransformer):
    """What a board does not need: texts that explain, types, imports of what is loaded already."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if node.level else node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign([node.target], node.value), node)


def pieces(source: str, wanted: set[str] | None = None) -> Iterator[str]:
    """The code of a module, a statement each and a class method by method.

    Args:
        source: Of the module.
        wanted: Only functions and classes of these names; None takes all.
    """
    tree = ast.fix_missing_locations(_Strip().visit(ast.parse(source)))
    for node in tree.body:
        name = getattr(node, "name", None)
        if wanted is not None and name is not None and name not in wanted:
            continue
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            table = ast.unparse(node.targets[0])
            yield f"{table}={{}}"
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                assert key is not None
                yield f"{table}[{ast.unparse(key)}]={ast.unparse(value)}"
            continue
        if not isinstance(node, ast.ClassDef):
            yield ast.unparse(node)
            continue
        yield f"class {name}:\n pass"
        for method in node.body:
            assert isinstance(method, ast.FunctionDef), ast.dump(method)
            yield f"{ast.unparse(method)}\n{name}.{method.name}={method.name}\ndel {method.name}"


# Equal pairs of the interlock's table share one tuple: its 119 cells would fill half the heap.
SHARING = """
_pairs = []
def _shared(row):
 for key in row:
  for pair in _pairs:
   if pair == row[key]:
    row[key] = pair
    break
  else:
   _pairs.append(row[key])
 return row
"""


class Twins:
    """The same code on the board and in this process; `same` holds their answers together."""

    def __init__(self, repl: Repl) -> None:
        self.repl = repl
        self.here: dict[str, Any] = {}
        self.exec("import gc")

    def exec(self, code: str) -> None:
        """Run code on both."""
        exec(code, self.here)
        self.repl.exec(code)

    def load(self, path: Path, wanted: set[str] | None = None, rows: str = "") -> None:
        """Load a module's code; `rows` names a function for the rows of its tables.

        Rows come last: the compiler needs its room while there is most of it.
        """
        last = []
        for code in pieces(path.read_text(), wanted):
            cell = re.match(r"[A-Z]+\[.*?\]=", code) if rows else None
            if cell:
                last.append(f"{cell[0]}{rows}({code[cell.end() :]})\ngc.collect()")
            else:
                self.exec(code)
                self.repl.exec("gc.collect()")
        for code in last:
            self.exec(code)

    def same(self, expression: str) -> Any:
        """The value of an expression, which must be equal on both."""
        here = eval(expression, self.here)
        there = self.repl.eval_json(expression)
        self.repl.exec("gc.collect()")
        assert there == here, expression
        return here
