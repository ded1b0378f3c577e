# What every board must offer, executed on the board: on MicroPython, on whatever hardware, real or
# not, the board is given. A new board's test builds one and calls check(board, alive=...).
#   alive: everything answers; else nothing does and all that reads must raise an OSError.
#   mute: offers whose parts have no way to answer: "display" on SPI.
import asyncio

# (name, arguments) of what can be called; docs of boards/__init__.py name the same.
OFFERS = (
    ("interlock", 0), ("indicate", 1), ("indicator", 0), ("buttons", 0), ("battery_mv", 0),
    ("clock", 0), ("set_clock", 1), ("display", 1), ("buzz", 1), ("feed_watchdog", 0), ("log", 2),
    ("open_socket", 3), ("set_wifi", 1), ("unique_id", 0), ("reset", 0), ("rest", 0),
)  # fmt: skip
FACTS = (
    ("pixels", 2, 1 << 16), ("full_scale_counts", 255, 65535), ("gain_me_per_count", 1, 10**7),
    ("read_noise_me", 0, 10**7), ("excitation_pm", 200000, 2000000),
)  # fmt: skip
LASER = (("set_power_uw", 1), ("fire", 1), ("off", 0), ("read", 0))
DETECTOR = (("expose", 2), ("temperature_mdegc", 0))
TIME_MS = 1_790_000_000_000


def check(board, alive, mute=()):
    _facts(board)
    for thing, offers in ((board, OFFERS), (board.laser, LASER), (board.detector, DETECTOR)):
        for name, count in offers:
            _signature(getattr(thing, name), name, count)
    board.laser.off()
    board.laser.off()
    if alive:
        _readings(board)
    else:
        _errors(board, mute)
    _told(board)
    _socket(board)
    return len(OFFERS) + len(FACTS) + len(LASER) + len(DETECTOR)


def _facts(board):
    assert isinstance(board.name, str) and board.name
    assert isinstance(board.flash_root, str) and not board.flash_root.endswith("/")
    for name, low, high in FACTS:
        value = getattr(board, name)
        assert isinstance(value, int) and low <= value <= high, (name, value)


# One argument more is refused before anything is done. No argument too few: OSError would hide it.
def _signature(what, name, count):
    try:
        what(*([None] * (count + 1)))
    except TypeError:
        return
    except Exception as error:
        raise AssertionError(name + " takes more arguments: " + repr(error)) from None
    raise AssertionError(name + " takes more arguments")


def _readings(board):
    contacts = board.interlock()
    assert {"lid", "key"} <= set(contacts) <= {"lid", "key", "nose"}
    assert all(isinstance(closed, bool) for closed in contacts.values())
    for lit in (True, False):
        board.indicate(lit)
        assert board.indicator() in (lit, None)
    assert board.buttons() in range(8)
    assert 2000 < board.battery_mv() < 15000
    enabled, can_fire, light_uw, mdegc = board.laser.read()
    assert enabled is False and isinstance(can_fire, bool)
    assert 0 <= light_uw < 1000, "light although it is off"
    assert -40000 < mdegc < 125000
    assert -40000 < board.detector.temperature_mdegc() < 125000
    unix_ms, quality = board.clock()
    assert quality in ("unset", "rtc", "synced") and isinstance(unix_ms, int)
    board.set_clock(TIME_MS)
    unix_ms, quality = board.clock()
    assert quality == "synced" and 0 <= unix_ms - TIME_MS < 10000
    board.display(
        [("x" * 26, style) for style in ("", "title", "ok", "warn", "bad", "dim", "", "")]
    )
    for pattern in ("warning", "refused", "saved", "verdict", "request", "fault"):
        board.buzz(pattern)


# Nothing answers: no other kind of error, and off is still possible.
def _errors(board, mute):
    for read in (
        board.interlock, board.battery_mv, board.clock, board.laser.read,
        lambda: board.laser.fire(100), lambda: board.laser.set_power_uw(1000),
        board.detector.temperature_mdegc,
        lambda: asyncio.run(board.detector.expose(1000, bytearray(2))),
    ):  # fmt: skip
        _must_fail(read)
    if "display" not in mute:
        _must_fail(lambda: board.display([("", "")] * 8))


def _must_fail(read):
    try:
        read()
    except OSError:
        return
    raise AssertionError("no OSError although nothing answers")


def _told(board):
    board.feed_watchdog()
    board.log("contract", {"any": ["detail", 1]})
    assert isinstance(board.unique_id(), bytes) and board.unique_id()
    board.set_wifi({"ssid": "", "password": "", "country": ""})
    board.rest()


# Without a network: an OSError, within its own deadline.
def _socket(board):
    try:
        asyncio.run(board.open_socket("127.0.0.1", 1, None))
    except OSError:
        return
    raise AssertionError("a socket to nowhere")
