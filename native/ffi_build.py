"""Builds `fieldassay._kernel` from every fa_*.h and fa_*.c here with cffi in API mode.

`python native/ffi_build.py` builds in place (host/fieldassay/_kernel*.so); setup.py uses `ffi` for
wheels. The declarations come from the headers themselves, so header and binding cannot drift apart;
what is between `#ifndef FA_CDEF_SKIP` and its `#endif` is left out (inline functions).
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def declarations(header: str) -> str:
    """What cffi's parser needs of a header: no comments, no preprocessor, constants as numbers."""
    text = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    text = re.sub(r"^#ifndef FA_CDEF_SKIP.*?^#endif", "", text, flags=re.DOTALL | re.MULTILINE)
    constants = re.findall(r"^#define (FA_\w+) \(?(-?\d+)\)?\s*$", text, flags=re.MULTILINE)
    text = re.sub(r"^#.*$", "", text, flags=re.MULTILINE)
    return text + "".join(f"\n#define {name} {value}" for name, value in constants)


def make(root: str) -> FFI:
    """The build recipe; `root` goes before the paths of sources and headers ("" for setuptools)."""
    builder = FFI()
    headers = sorted(path.name for path in HERE.glob("fa_*.h"))
    for name in headers:
        builder.cdef(declarations((HERE / name).read_text(encoding="utf-8")))
    # -ffp-contract=off and no -ffast-math: scores are evidence and must not depend on the compiler.
    builder.set_source(
        "fieldassay._kernel",
        "".join(f'#include "{name}"\n' for name in headers),
        sources=[f"{root}native/{path.name}" for path in sorted(HERE.glob("fa_*.c"))],
        depends=[f"{root}native/{name}" for name in headers],
        include_dirs=[root + "native"],
        extra_compile_args=["-std=c11", "-O3", "-ffp-contract=off"],
        libraries=["m"],
    )
    return builder


ffi = make("")


def build_in_place() -> Path:
    """Compile into host/fieldassay and return the path of the extension."""
    with tempfile.TemporaryDirectory() as scratch:
        built = Path(make(f"{ROOT}/").compile(tmpdir=scratch))
        target = ROOT / "host" / "fieldassay" / built.name
        temporary = target.with_name(target.name + ".tmp")
        shutil.copy(built, temporary)
        temporary.replace(target)
    return target


if __name__ == "__main__":
    print(build_in_place())
