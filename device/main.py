"""Entry of the firmware. The laser is switched off before anything else can fail.

`main(board)` runs until the app ends; whatever ends it, the laser is off, the display shows a
fault and the log has the reason. Nothing is imported before the laser is off.
"""

# Loading from source leaves a small heap in pieces. So the buffers come first, then the largest
# modules (`app` brings the small ones), each followed by a collection.
GC_THRESHOLD_BYTES = 16 * 1024
MODULES = ("fieldassay_wire.messages", "link", "app")


def main(board):
    board.laser.off()
    try:
        frames = _load(board.pixels)
        import app

        app.run(board, frames)
    except Exception as error:
        board.laser.off()
        _report(board, error)
    finally:
        board.laser.off()


def _load(pixels):
    import gc

    gc.threshold(GC_THRESHOLD_BYTES)
    from frames import Frames

    frames = Frames(pixels)
    for name in MODULES:
        __import__(name)
        gc.collect()
    return frames


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
    board.log("fault", {"code": code, "what": what, "detail": repr(error)})
    rows = [("FAULT  LASER OFF", "bad")]
    for text, style in ((what, ""), (do_next, "ok")):
        while text and len(rows) < 8:
            cut = 26 if len(text) <= 26 else text.rfind(" ", 0, 27)
            cut = cut if cut > 0 else 26
            rows.append((text[:cut], style))
            text = text[cut:].lstrip()
    board.display(rows + [("", "")] * (8 - len(rows)))
    board.buzz("fault")
