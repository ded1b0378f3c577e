"""A test double of MicroPython's `rp2` for MicroPython on a computer: assembler, SM, DMA.

The assembler turns the firmware's own @asm_pio functions into instruction words as the port's
does (RP2040 data sheet, section 3.4), in two passes and with the function's globals replaced. State
machines and DMA channels record every call in `dialogue` and ask `sensor`, which a test sets, what
the hardware would do.
"""

dialogue = []
sensor = None  # .fire(words, now), .active(channel), see fakes/sensor.py


class PIO:
    IN_LOW, IN_HIGH, OUT_LOW, OUT_HIGH = 0, 1, 2, 3
    SHIFT_LEFT, SHIFT_RIGHT = 0, 1
    JOIN_NONE, JOIN_TX, JOIN_RX = 0, 1, 2


_WORDS = {
    "gpio": 0, "pins": 0, "x": 1, "y": 2, "null": 3, "pindirs": 4, "pc": 5, "status": 5,
    "isr": 6, "osr": 7, "exec": 8, "not_x": 1, "x_dec": 2, "not_y": 3, "y_dec": 4, "x_not_y": 5,
    "pin": 6, "not_osre": 7, "noblock": 0x01, "block": 0x21, "iffull": 0x40, "ifempty": 0x40,
}  # fmt: skip


class Program:
    def __init__(self, options):
        self.options = options
        self.side_count = len(_pins(options.get("sideset_init")))
        self.set_count = len(_pins(options.get("set_init")))
        self.words = []
        self.labels = {}
        self.wrap_target = 0
        self.wrap = None

    def emit(self, word):
        self.words.append(word)
        return self

    def side(self, value):
        if not 0 <= value < 1 << self.side_count:
            raise ValueError("side-set")
        self.words[-1] |= value << (13 - self.side_count)
        return self

    def delay(self, ticks):
        if not 0 <= ticks < 1 << (5 - self.side_count):
            raise ValueError("delay")
        self.words[-1] |= ticks << 8
        return self

    __getitem__ = delay

    def names(self):
        names = dict(_WORDS)
        names["label"] = lambda name: self.labels.__setitem__(name, len(self.words))
        names["wrap_target"] = lambda: setattr(self, "wrap_target", len(self.words))
        names["wrap"] = lambda: setattr(self, "wrap", len(self.words) - 1)
        names["invert"] = lambda value: value | 8
        names["reverse"] = lambda value: value | 16
        names["nop"] = lambda: self.emit(0xA042)
        names["jmp"] = self._jmp
        names["out"] = lambda to, bits: self.emit(0x6000 | (to & 7) << 5 | bits & 31)
        names["in_"] = lambda source, bits: self.emit(0x4000 | source << 5 | bits & 31)
        names["push"] = lambda *flags: self.emit(0x8000 | _flags(flags))
        names["pull"] = lambda *flags: self.emit(0x8080 | _flags(flags))
        names["mov"] = lambda to, source: self.emit(0xA000 | to << 5 | source)
        names["set"] = lambda to, value: self.emit(0xE000 | to << 5 | value)
        return names

    def _jmp(self, condition, label=None):
        if label is None:
            condition, label = 0, condition
        return self.emit(condition << 5 | self.labels.get(label, 0))

    def data(self):
        return {
            "words": self.words,
            "wrap_target": self.wrap_target,
            "wrap": self.wrap,
            "side_count": self.side_count,
            "set_count": self.set_count,
            "options": self.options,
        }


def _pins(option):
    return () if option is None else (option,) if isinstance(option, int) else tuple(option)


def _flags(flags):
    value = 0
    for flag in flags:
        value |= flag
    return value & 0x60 if value & 1 else value & 0x40 | 0x20


def asm_pio(**options):
    def assemble(function):
        program = Program(options)
        space = function.__globals__
        kept = dict(space)
        space.clear()
        space.update(program.names())
        try:
            function()  # finds the labels
            program.words = []
            function()
        finally:
            space.clear()
            space.update(kept)
        if len(program.words) > 32:
            raise OSError(12, f"program of {len(program.words)} words")
        return program

    return assemble


class StateMachine:
    def __init__(self, number):
        self.number = number
        self._on = False

    def init(self, program, **options):
        self._on = False
        self.program = program
        pins = {k: v.number for k, v in options.items() if hasattr(v, "number")}
        plain = {k: v for k, v in options.items() if not hasattr(v, "number")}
        dialogue.append(("init", self.number, program.data(), pins, plain))
        if sensor:
            sensor.reset(self)

    def put(self, value, shift=0):
        words = [value] if isinstance(value, int) else list(value)
        dialogue.append(("put", self.number, words))
        if sensor:
            sensor.put(self, words)

    def exec(self, instruction):
        dialogue.append(("exec", self.number, instruction))

    def restart(self):
        dialogue.append(("restart", self.number))
        if sensor:
            sensor.reset(self)

    def active(self, value=None):
        if value is not None:
            self._on = bool(value)
            dialogue.append(("active", self.number, self._on))
        return self._on

    def tx_fifo(self):
        return sensor.tx_fifo(self) if sensor else 0

    def rx_fifo(self):
        return 0


class DMA:
    made = 0

    def __init__(self):
        self.channel = DMA.made
        DMA.made += 1
        self._on = False
        self.write = None
        self.count = 0

    def pack_ctrl(self, **fields):
        dialogue.append(("pack_ctrl", self.channel, fields))
        return 1 + self.channel

    def config(self, read=None, write=None, count=None, ctrl=None, trigger=False):
        kind = "sm" if isinstance(read, StateMachine) else read
        dialogue.append(
            ("dma", self.channel, kind, write if isinstance(write, int) else "buffer", count, ctrl)
        )
        self.write = write
        self.count = count
        self._on = trigger

    def active(self, value=None):
        if value is not None:
            self._on = bool(value)
            dialogue.append(("dma_active", self.channel, self._on))
        if self._on and sensor and sensor.dma_done(self):
            self._on = False
        return self._on

    def close(self):
        dialogue.append(("dma_close", self.channel))
