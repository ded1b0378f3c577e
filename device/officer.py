"""What the officer sees and has answered: screen, packaging, sample, series and spot. Pure.

Every answer has a default but one: whether the sample is dark or coloured is asked for each new
sample and nothing is measured before it is answered. A further spot of the same sample keeps the
answer. Buttons only move between screens and answers here; everything about the laser is the app's.
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
        self.dark_sample = ""  # "no", "yes", "unknown"; "" is not answered
        self.measured = False  # the answer is that of a sample that has been measured
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
        answers = {"packaging": self.packaging, "sample": self.sample}
        if self.dark_sample:
            answers["dark_sample"] = self.dark_sample
        return answers

    # Low power, and stop when the sample heats up: for everything but a clear "no".
    def gentle(self):
        return self.dark_sample != "no"

    def may_measure(self):
        return self.dark_sample != "" and not self.measured

    # Shows what has to be answered before the trigger can do more; False if nothing has.
    def ask(self):
        if self.may_measure():
            return False
        self.screen = "same" if self.measured else "ask"
        return True

    def new_sample(self):
        self.dark_sample = ""
        self.measured = False
        self.ready()

    def ready(self, note=""):
        self.screen = "ready" if self.may_measure() else "ask"
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
        self.measured = True
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
        # Why a measurement was stopped stays until it was read.
        stopped = self.screen == "refused" and self.measured
        if number != self.number or self.screen == "measuring" or stopped:
            self.note = label(number) + ": " + verdict["title"]
            return
        self.verdict = verdict
        self.page = 0
        self.screen = "verdict"

    def press_trigger(self):
        if self.screen == "ask":
            self._say_dark("unknown")

    def _say_dark(self, answer):
        self.dark_sample = answer
        self.measured = False
        self.ready(self.note)

    def press_next(self):
        if self.screen == "ask":
            self._say_dark("yes")
        elif self.screen == "same":
            self._say_dark(self.dark_sample)
        elif self.screen == "verdict":
            self.page += 1
        elif self.screen == "ready":
            names = [name for name, _ in PACKAGINGS]
            known = self.packaging in names
            at = (names.index(self.packaging) + 1) % len(names) if known else 0
            self.packaging = names[at]
        elif self.screen in ("saved", "refused"):
            self.leave()

    # Done with what is shown: the next sample, unless nothing of this one was measured.
    def leave(self):
        if self.measured:
            self.new_sample()
        else:
            self.ready()

    def press_ok(self):
        if self.screen == "ask":
            self._say_dark("no")
            return
        if self.screen == "ready":
            self.request = False
        if self.screen in ("verdict", "saved", "refused", "ready", "same"):
            self.leave()

    # {"packaging", "sample", "dark_sample", "series", "spot"}, all optional, as the command carries
    # them. Another series or sample is another sample: it is asked about again.
    def answer(self, args):
        other = args.get("series", self.series) != self.series
        if other or args.get("sample", self.sample) != self.sample:
            self.dark_sample = ""
            self.measured = False
        if "dark_sample" in args:
            self.dark_sample = args["dark_sample"]
            self.measured = False
        self.packaging = args.get("packaging", self.packaging)
        self.sample = args.get("sample", self.sample)
        if other:
            self.spot = 1
        self.series = args.get("series", self.series)
        self.spot = args.get("spot", self.spot)
        if self.screen in ("ready", "ask", "same"):
            self.ready(self.note)

    # The officer's part of the display's view.
    def view(self):
        packaging = self.packaging or "not asked"
        for name, word in PACKAGINGS:
            if name == self.packaging:
                packaging = word
        return {
            "screen": self.screen,
            "packaging": packaging,
            "dark_sample": self.dark_sample,
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
