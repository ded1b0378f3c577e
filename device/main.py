"""Entry of the firmware. The laser is switched off before anything else can fail.

`main(board)` runs until the app ends; whatever ends it, the laser is off, the display shows a
fault and the log has the reason. Nothing is imported before the laser is off.
"""

# Loading from source leaves a small heap in pieces. So the buffers come first, then the largest
# modules (`app` brings the small ones), each followed by a collection.
GC_THRESHOLD_BYTES = 16 * 1024
OFF_TRIES = 3
MODULES = (
    "fieldassay_wire.messages",
    "link",
    "laser",
    "spool",
    "display",
    "acquire",
    "app",
)


# slots: which firmware of the flash this is (rom/slots.py); None if it runs from a folder.
def main(board, slots=None):
    try:
        board.laser.off()
        frames, given = _load(board)
        import app

        app.run(board, frames, given, slots)
    except Exception as error:
        _off(board)
        _report(board, error)
    finally:
        _off(board)
        _rest(board)


# Whatever else is broken must not keep it from being tried and told; nor a break from the console,
# of which technicians' tools send several.
def _off(board):
    for _ in range(OFF_TRIES):
        try:
            board.laser.off()
            return
        except BaseException:
            pass  # the hardware one-shot ends the emission


# The firmware has ended: a watchdog that goes on would take the fault from the display, and the
# prompt from a technician.
def _rest(board):
    try:
        board.rest()
    except Exception:
        pass


def _load(board):
    import gc

    gc.threshold(GC_THRESHOLD_BYTES)
    from frames import Frames

    frames = Frames(board.pixels)
    import configuration

    given = configuration.load(board)
    for name in MODULES:
        __import__(name)
        gc.collect()
    frames.hold_reserve()
    return frames, given


# Needs nothing but the board: the rest of the firmware may be what is broken.
def _report(board, error):
    what = getattr(error, "what", None) or "The firmware stopped: " + repr(error)
    do_next = getattr(error, "do_next", None) or "Switch off and on. Call a technician."
    code = getattr(error, "code", None) or "firmware_stopped"
    try:
        import sys

        sys.print_exception(error)
    except Exception:
        pass  # no console on this port
    details = {"code": code, "what": what, "detail": repr(error)}
    try:
        board.log("fault", details)
    except Exception:
        pass  # the display says the same
    try:
        from logbook import Logbook

        Logbook(board.flash_root).add("fault", details, (0, "unset"))
    except Exception:
        pass
    advice = _rows(do_next, "ok")
    rows = [("FAULT  LASER OFF", "bad")] + _rows(what, "")[: 7 - len(advice)] + advice
    board.display(rows + [("", "")] * (8 - len(rows)))
    board.buzz("fault")


def _rows(text, style):
    rows = []
    while text:
        cut = 26 if len(text) <= 26 else text.rfind(" ", 0, 27)
        cut = cut if cut > 0 else 26
        rows.append((text[:cut], style))
        text = text[cut:].lstrip()
    return rows
