"""What the officer sees and has answered: screen, packaging, sample, series and spot. Pure.

The default path needs one press of the trigger: every answer has a default. Buttons only move
between screens and answers here; the trigger and everything about the laser is the app's.
"""

# Answers by the short names that travel; the display shows the second word.
PACKAGINGS = (
    ("unknown", "unknown"),
    ("none", "none, open"),
    ("pe", "PE bag"),
    ("pp", "PP bag"),
    ("pet", "PET"),
    ("glass", "glass"),
    ("paper", "paper"),
    ("other", "other"),
)


class Officer:
    def __init__(self):
        self.screen = "starting"
        self.packaging = "unknown"
        self.sample = ""
        self.series = 1
        self.spot = 1
        self.request = False  # the host asks for a measurement
        self.note = ""  # one line on the ready screen
        self.number = None  # (boot, seq) of the newest measurement
        self.delivery = ""  # "saved", "delivered", "kept"
        self.flags = ()
        self.verdict = None
        self.page = 0
        self.error = None  # anything with what and do_next

    def answers(self):
        return {"packaging": self.packaging, "sample": self.sample}

    def ready(self, note=""):
        self.screen = "ready"
        self.note = note
        self.error = None

    def measuring(self):
        self.screen = "measuring"
        self.verdict = None  # read; its memory is wanted now
        self.request = False
        self.note = ""

    def refused(self, error):
        self.screen = "refused"
        self.error = error

    # The record is on flash (renamed): only now may the display say so.
    def saved(self, number, flags):
        self.screen = "saved"
        self.number = number
        self.flags = flags
        self.delivery = "saved"
        self.verdict = None
        self.spot += 1

    # The receipt came. Returns whether it was for the newest measurement.
    def delivered(self, number, status):
        kept = status == "quarantined"
        if kept and (number != self.number or self.screen != "saved"):
            self.note = "Kept for review: " + label(number)
        if number != self.number:
            return False
        self.delivery = "kept" if kept else "delivered"
        return True

    # A verdict on the newest measurement takes the screen, unless the next one is being taken.
    def judged(self, number, verdict):
        if number != self.number or self.screen == "measuring":
            self.note = label(number) + ": " + verdict["title"]
            return
        self.verdict = verdict
        self.page = 0
        self.screen = "verdict"

    def press_next(self):
        if self.screen == "verdict":
            self.page += 1
        elif self.screen == "ready":
            names = [name for name, _ in PACKAGINGS]
            known = self.packaging in names
            at = (names.index(self.packaging) + 1) % len(names) if known else 0
            self.packaging = names[at]
        elif self.screen in ("saved", "refused"):
            self.ready()

    def press_ok(self):
        if self.screen == "ready":
            self.request = False
        if self.screen in ("verdict", "saved", "refused", "ready"):
            self.ready()

    # {"packaging", "sample", "series", "spot"}, all optional, as the command carries them.
    def answer(self, args):
        self.packaging = args.get("packaging", self.packaging)
        self.sample = args.get("sample", self.sample)
        if args.get("series", self.series) != self.series:
            self.spot = 1
        self.series = args.get("series", self.series)
        self.spot = args.get("spot", self.spot)

    # The officer's part of the display's view.
    def view(self):
        packaging = self.packaging or "not asked"
        for name, word in PACKAGINGS:
            if name == self.packaging:
                packaging = word
        return {
            "screen": self.screen,
            "packaging": packaging,
            "request": self.request,
            "note": self.note,
            "record": label(self.number) if self.number else "",
            "delivery": self.delivery,
            "flags": self.flags,
            "verdict": self.verdict,
            "page": self.page,
            "what": self.error.what if self.error else "",
            "do_next": self.error.do_next if self.error else "",
        }


def label(number):
    return "Measurement {}-{}".format(number[0], number[1])
