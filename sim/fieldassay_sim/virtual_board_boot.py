# Runs on MicroPython: what a board does from power-up to its prompt. Mounts the flash as "/", gives
# `machine` and `sys` what only boards have, runs boot.py and main.py in the namespace of the
# prompt, which it leaves to the interpreter.
# mypy: ignore-errors
#   micropython virtual_board_boot.py FLASH CUT_AFTER START UNIQUE_ID MACHINE [BUS_PORT TOKEN]
# START is "hard", "soft" (after a soft reset) or "raw" (one at the raw prompt: boards then run
# boot.py only). The virtual board waits for READY before it passes a byte on, and for PROMPT.
import os
import sys


# Mounts the flash and puts modules in front of the built-in ones.
def _power_up(image, cut_after, unique_id, name, bus):
    from collections import namedtuple

    import machine
    import uctypes
    import vfs
    from flash_file import BLOCK, Flash

    class Over:
        def __init__(self, module, names):
            self._module = module
            for key in names:
                setattr(self, key, names[key])

        def __getattr__(self, name):
            return getattr(self._module, name)

    # Nothing runs after this, no handler and no `finally`: as without power.
    def no_power():
        uctypes.bytearray_at(1, 1)[0] = 0

    with open(image, "rb") as file:  # only a flash never written is formatted, no damaged one
        blank = file.read(2 * BLOCK) == b"\xff" * (2 * BLOCK)
    flash = Flash(image)
    if blank:
        vfs.VfsLfs2.mkfs(flash)
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(flash), "/")
    os.chdir("/")
    flash.ops = 0  # so that a cut's number means the same at each start
    flash.cut = no_power
    flash.cut_after = int(cut_after) or None

    ours = sys.implementation
    facts = namedtuple("implementation", ("name", "version", "_machine", "_mpy", "_build"))
    board = facts(ours.name, ours.version, name, ours._mpy, "VIRTUAL")
    sys.path[:] = ["", ".frozen", "/lib"]
    sys.argv[:] = []
    del sys.modules["flash_file"]
    sys.modules["sys"] = Over(sys, {"implementation": board})
    over = {
        "unique_id": unique_id.encode,
        "reset": lambda: sys.exit(3),
        "bootloader": lambda timeout_ms=0: sys.exit(4),
    }
    sys.modules["machine"] = Over(machine, over)
    if bus:  # the way to the simulated detector, laser and buttons
        sys.modules["simulated_bus"] = Over(None, {"port": int(bus[0]), "token": bus[1]})


def _run(name):
    import gc

    try:
        with open(name) as file:
            program = compile(file.read(), name, "exec")
    except OSError:
        return
    gc.collect()
    try:
        exec(program, globals())
    except (Exception, KeyboardInterrupt) as error:
        sys.print_exception(error)


_start = sys.argv[3]
_power_up(sys.argv[1], sys.argv[2], sys.argv[4], sys.argv[5], sys.argv[6:])
sys.stdout.write("\x1eR")
for _name in ("boot.py",) if _start == "raw" else ("boot.py", "main.py"):
    _run(_name)
del _run, _power_up, _start, _name
sys.stdout.write("\x1eP")
