# ruff: noqa: PTH123
# Runs on MicroPython: makes a board on the fakes of a port and asks it one question.
#   boards_run.py BOARD QUESTION [alive|dead]
import asyncio
import json
import sys

import port

port.install()
name, question = sys.argv[1], sys.argv[2]
board_module = __import__("boards." + name, None, None, ("Board", "PINS"))
PINS = board_module.PINS
MUTE = {"pico2w": (), "esp32s3": ("display",)}
first = list(port.events)


def make(alive):
    if alive:
        port.chips[0x36] = port.Chip({0x02: b"\xc3\x50"})
        port.chips[0x48] = port.Chip({0x00: b"\x0c\x80"})
        port.chips[0x68] = port.Chip({0x00: bytes.fromhex("00000003200126"), 0x0F: b"\x00"})
        port.chips[0x51] = port.Chip({0x02: bytes.fromhex("00000020030126")})
        port.chips[0x60] = port.Dac()
        port.chips[0x3C] = port.Chip({})
        for contact in ("lid", "key"):
            port.levels[PINS[contact + "_made"]] = 1
        for key in ("trigger", "next", "ok"):
            port.levels[PINS[key]] = 1
        port.levels["adc", PINS["photodiode"]] = 0
        port.Uart.answers = {b"TC": b"OK 25000"}
    return board_module.Board()


# The lamp's readback follows the lamp.
class Lamp(port.Pin):
    def value(self, *level):
        if level:
            port.levels[PINS["indicator_sense"]] = level[0]
        return super().value(*level)


def contract():
    import board_contract

    alive = sys.argv[3] == "alive"
    board = make(alive)
    if not alive:
        # Wires cut: both sides of each contact low, for longer than a contact travels.
        import time

        board.interlock()
        time.sleep_ms(60)
    else:
        board._indicator = Lamp(PINS["indicator"])
    print(board_contract.check(board, alive, MUTE[name]))


def laser_first():
    pin = PINS["laser_enable"]
    assert first[0] == ("pin", pin, port.Pin.OUT, 0), first[:3]
    make(True)
    lit = [e for e in port.events if e[0] in ("level", "pin") and e[1] == pin and e[-1] == 1]
    assert not lit and ("fire", pin) not in port.events
    assert ("dac", 0) in port.events and not [e for e in port.events if e[0] == "dac" and e[1]]
    port.events.clear()
    make(True).reset()
    assert port.events[-1] == ("reset",)
    assert ("dac", 0) in port.events[-4:], port.events[-5:]


def watchdog():
    board = make(True)
    assert not port.Wdt.made, "starts with the first feeding"
    board.rest()
    assert not port.Wdt.made, "nothing to keep quiet"
    board.feed_watchdog()
    board.feed_watchdog()
    dog = port.Wdt.made[0]
    assert len(port.Wdt.made) == 1 and dog.fed == 2 and 1000 < dog.timeout <= 8388
    board.rest()
    timer = port.timers[-1]
    assert timer.mode == port.Timer.PERIODIC and 2 * timer.period < dog.timeout
    timer.callback(timer)
    assert dog.fed == 3


def wifi():
    board = make(True)
    told = port.Wlan.said

    async def connect():
        # Nothing listens there: what counts is that the network was joined before.
        try:
            await board.open_socket("127.0.0.1", 1, None)
        except OSError as error:
            return error.args[0]

    assert asyncio.run(connect()) == 19 and not told, "no network set: the radio stays off"
    board.set_wifi({"ssid": "lab", "password": "secret-1", "country": "DE"})
    assert asyncio.run(connect()) == 111
    assert told == [("country", "DE"), ("active", True), ("connect", "lab", "secret-1")]
    assert asyncio.run(connect()) == 111 and len(told) == 3, "joined once"
    board._wifi._station._left = None  # the network went away
    port.Wlan.polls_to_join = None

    async def no_network():
        try:
            await board._wifi.join(120)
        except OSError as error:
            return error.args[0]

    assert asyncio.run(no_network()) == 110
    assert told[-1] == ("disconnect",)
    port.Wlan.polls_to_join = 1
    assert asyncio.run(connect()) == 111, "the next try works"


def clock():
    board = make(True)
    unix_ms, quality = board.clock()
    assert quality == "rtc" and 0 <= unix_ms - 1768867200000 - (0) < 10000, unix_ms
    assert port.Rtc.told == [(2026, 1, 20, 1, 0, 0, 0, 0)], port.Rtc.told
    board.set_clock(1790000000000)
    assert port.Rtc.told[-1][:3] == (2026, 9, 21)


def buzzing():
    board = make(True)
    board.buzz("saved")
    timer = port.timers[-2]
    assert timer.mode == port.Timer.ONE_SHOT
    while timer.callback is not None:
        callback, timer.callback = timer.callback, None
        callback(timer)
    assert [e for e in port.events if e[0] == "duty"][-1] == ("duty", PINS["buzzer"], 0)
    assert ("tone", PINS["buzzer"], 1800) in port.events
    assert port.Pin.outputs[PINS["motor"]] == 0


# What the builder measured is in hardware.json; without it no power can be set.
def unmeasured():
    from boards import wired

    root = sys.argv[3]
    assert wired.hardware(root) == wired.DEFAULTS
    board = make(True)
    try:
        board.laser.set_power_uw(1000)
        raise AssertionError("power without calibration")
    except OSError:
        pass
    board.laser.set_power_uw(0)
    for text in ("{", "[]", '{"laser": 3, "gain_me_per_count": "x"}'):
        with open(root + "/hardware.json", "w") as file:
            file.write(text)
        assert wired.hardware(root) == wired.DEFAULTS, text
    with open(root + "/hardware.json", "w") as file:
        json.dump({"laser": {"power_codes": [[0, 100], [500, 200]]}, "read_noise_me": 7}, file)
    found = wired.hardware(root)
    assert found["read_noise_me"] == 7 and found["laser"]["power_codes"] == [[0, 100], [500, 200]]
    assert found["laser"]["ntc_beta"] == 3950 and wired.DEFAULTS["laser"]["power_codes"] == [[0, 0]]


# Whatever the file says, there is a board, and no power that nobody measured.
def nonsense():
    from boards import wired

    for laser in (
        {"power_codes": "text"}, {"power_codes": []}, {"power_codes": [[1]]},
        {"power_codes": [["a", "b"]]}, {"power_codes": [[100, 5000], [200, 6000]]},
        {"power_codes": {"a": 1}}, {"power_codes": None}, {"photodiode_uw": "x"},
        {"ntc_beta": 0}, {"ntc_ohm": None}, {"photodiode_zero": -5},
        {"power_codes": [[9, 9], [1, 1]]},
    ):  # fmt: skip
        with open(sys.argv[3] + "/hardware.json", "w") as file:
            json.dump({"laser": laser}, file)
        board_module.Board.flash_root = sys.argv[3]
        board = make(True)
        if not isinstance(board.laser, wired.NoLaser):
            board.laser.read()
        board.laser.off()
        try:
            board.laser.set_power_uw(1000)
            raise AssertionError(laser)
        except OSError:
            pass


# The whole firmware on a unit without settings: the display says so, it sounds to its end, the log
# has it, the laser was never asked for anything, and the watchdog does not take it all away.
def unprovisioned():
    import main
    from logbook import Logbook

    board = make(True)
    board.flash_root = sys.argv[3]
    shown = []
    board._panel.show = shown.append
    port.events.clear()
    main.main(board)
    print(json.dumps([text for text, _ in shown[-1]]))
    assert Logbook(board.flash_root).tail(9)[-1]["details"]["code"] == "settings_missing"
    assert not [e for e in port.events if e[0] == "fire" or (e[0] == "dac" and e[1])]
    sound = port.timers[-2]
    assert sound.period == 600
    steps = 0
    while sound.callback is not None:
        callback, sound.callback = sound.callback, None
        callback(sound)
        steps += 1
    assert steps == 6
    assert [e for e in port.events if e[0] == "duty"][-1] == ("duty", PINS["buzzer"], 0)


def pins():
    print(json.dumps(PINS))


globals()[question]()
print("ok")
