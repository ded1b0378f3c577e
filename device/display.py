"""What the display shows: pure functions from the app's view to 8 rows of (text, style).

A row has at most 26 characters; styles are "" "title" "ok" "warn" "bad" "dim". Knows no board and
no clock; it never says "clear" or "safe". The view is a dict: unit, battery_low, online, used,
capacity, screen, and what the screen needs (named above each function).
"""

ROWS = 8
COLUMNS = 26
_SPACES = b" \t\n\r\x0b\x0c"

DARK_WORDS = {"no": "no", "yes": "yes, low power", "unknown": "unknown, low power"}
VERDICT_WORDS = {
    "match": ("MATCH", "bad"),
    "mixture": ("MIXTURE", "bad"),
    "class": ("SUBSTANCE CLASS", "bad"),
    "out_of_library": ("NOT IN LIBRARY", "warn"),
    "inconclusive": ("INCONCLUSIVE", "warn"),
}


# Lines of at most `width`; words longer than a line are cut.
def wrap(text, width=COLUMNS):
    return list(_wrapped(text, width))


def _wrapped(text, width=COLUMNS):
    line = ""
    for word in _words(text):
        while len(word) > width:
            if line:
                yield line
                line = ""
            yield word[:width]
            word = word[width:]
        if not line:
            line = word
        elif len(line) + 1 + len(word) <= width:
            line = line + " " + word
        else:
            yield line
            line = word
    if line:
        yield line


# As text.split(), without the list: a heap in pieces may not have its 2 kB. And by bytes: a single
# character taken from a text is kept for ever, in a table that grows by more than a kilobyte.
def _words(text):
    data = text.encode()
    start = 0
    for at in range(len(data) + 1):
        if at == len(data) or data[at] in _SPACES:
            if at > start:
                yield str(data[start:at], "utf-8")
            start = at + 1


def rows(view):
    body = SCREENS[view["screen"]](view)
    result = [_header(view)] + body
    result = [(_fit(text), style) for text, style in result[:ROWS]]
    return result + [("", "")] * (ROWS - len(result))


# What had to be cut says so: half a word must not pass for a whole one.
def _fit(text):
    return text if len(text) <= COLUMNS else text[: COLUMNS - 2] + ".."


def _header(view):
    net = "online" if view["online"] else "offline"
    right = net + " " + str(view["used"]) + "/" + str(view["capacity"])
    if view["battery_low"]:
        right = "LOW BATT " + right
    left = view["unit"][: COLUMNS - len(right) - 1]
    space = " " * (COLUMNS - len(left) - len(right))
    return left + space + right, "warn" if view["battery_low"] else "dim"


def _lines(text, style):
    return [(line, style) for line in wrap(text)]


# At most `room` lines of one text; the last one says that there was more.
def _cut(lines, room):
    if len(lines) <= room or room < 1:
        return lines[:room]
    text, style = lines[room - 1]
    return lines[: room - 1] + [(text[: COLUMNS - 3] + " ..", style)]


def _starting(view):
    return [("", ""), ("Self-test", "title"), ("The laser is off.", ""), ("Please wait.", "dim")]


# request, note
def _ask(view):
    body = [("DARK OR COLOURED SAMPLE?", "title")]
    if view["request"]:
        body += [("The host asks to measure.", "warn")]
    body += [
        ("Dark ones can burn.", "warn"),
        ("OK:      no", "ok"),
        ("NEXT:    yes", "ok"),
        ("TRIGGER: do not know", "ok"),
    ]
    return body + _cut(_lines(view["note"], "warn"), ROWS - 1 - len(body))


# dark_sample
def _same(view):
    return [
        ("SAME SAMPLE?", "title"),
        ("", ""),
        ("NEXT: yes, another spot", "ok"),
        ("  Dark: " + DARK_WORDS.get(view["dark_sample"], ""), "dim"),
        ("OK:   no, a new sample", "ok"),
    ]


# packaging, dark_sample, request, note
def _ready(view):
    body = [("READY", "title")]
    if view["request"]:
        body += _lines("The host asks for a measurement.", "warn")
    body += [
        ("Packaging: " + view["packaging"], ""),
        ("Dark: " + DARK_WORDS.get(view["dark_sample"], ""), ""),
        ("Scan first, do not open.", ""),
        ("Press the trigger.", "ok"),
    ]
    body += _cut(_lines(view["note"], "warn"), ROWS - 2 - len(body))
    while len(body) < ROWS - 2:
        body.append(("", ""))
    return body + [("NEXT: packaging", "dim")]


# phase, permille, left_ms
def _measuring(view):
    phase = view["phase"]
    bar = _bar(view["permille"])
    if phase == "warning":
        left_s = (view["left_ms"] + 999) // 1000
        body = [
            ("LASER STARTS IN " + str(left_s) + " s", "warn"),
            ("Hold still on the sample.", ""),
            ("Do not look into the beam.", "warn"),
        ]
    elif phase == "light":
        body = [("LASER ON", "bad"), ("Hold still. Keep closed.", ""), (bar, "")]
    elif phase == "dark":
        body = [("LASER OFF", "title"), ("Keep closed. Dark frames.", ""), (bar, "")]
    else:
        body = [("Writing the result", "title"), ("Do not switch off.", "")]
    return [("", "")] + body + [("", ""), ("NEXT or OK: stop", "dim")]


def _bar(permille):
    filled = max(0, min(20, permille * 20 // 1000))
    return "[" + "#" * filled + "." * (20 - filled) + "]"


# record, delivery ("saved", "delivered", "kept"), flags
def _saved(view):
    record = view["record"]
    if view["delivery"] == "delivered":
        body = [("DELIVERED", "ok"), (record, ""), ("Waiting for the verdict.", "dim")]
    elif view["delivery"] == "kept":
        body = [("KEPT FOR REVIEW", "warn"), (record, "")]
        body += _lines("The host has it but could not read it. Tell the technician.", "")
    else:
        body = [("SAVED ON THE UNIT", "ok"), (record, "")]
        body += _lines("It goes to the host when the network is there.", "dim")
    if "saturated" in view["flags"]:
        body += [("Too much light: saturated.", "warn")]
    elif "low_signal" in view["flags"]:
        body += [("Little light: weak signal.", "warn")]
    return [("", "")] + body


# verdict: the verdict message; page
def _verdict(view):
    verdict = view["verdict"]
    size = ROWS - 3
    pages = (sum(1 for _ in _verdict_lines(verdict)) + size - 1) // size
    page = view["page"] % pages
    word, style = VERDICT_WORDS.get(verdict["verdict"], ("UNKNOWN ANSWER", "warn"))
    shown = [(word, style)]
    for at, line in enumerate(_verdict_lines(verdict)):
        if at // size == page:
            shown.append(line)
    while len(shown) < ROWS - 2:
        shown.append(("", ""))
    more = "NEXT: page {}/{}  ".format(page + 1, pages) if pages > 1 else ""
    return shown + [(more + "OK: new", "dim")]


# Everything below the verdict's word: what it is, the danger, what to do, that it is presumptive.
def verdict_lines(verdict):
    return list(_verdict_lines(verdict))


# One line at a time: a long verdict has more lines than a heap in pieces has room for.
def _verdict_lines(verdict):
    hazard = verdict["hazard"]
    texts = [(verdict["title"], "title"), (hazard["title"], "bad")]
    texts += [(text, "warn") for text in hazard["lines"][:4]]
    texts.append((verdict["do_next"], "ok"))
    texts += [(text, "") for text in verdict["reasons"]]
    texts.append(("Presumptive. Confirm in a laboratory.", "dim"))
    for text, style in texts:
        for line in _wrapped(text):
            yield line, style


# what, do_next
def _refused(view):
    body = [("NOT MEASURED", "warn")] + _lines(view["what"], "")
    return _with_advice(body, view["do_next"], "OK: back")


def _fault(view):
    body = [("FAULT  LASER OFF", "bad")] + _lines(view["what"], "")
    return _with_advice(body, view["do_next"], "")


# The advice always fits: the description is cut first.
def _with_advice(body, do_next, footer):
    advice = _lines(do_next, "ok")
    room = ROWS - 1 - (1 if footer else 0)
    body = _cut(body, max(1, room - len(advice))) + advice
    body = body[:room]
    if not footer:
        return body
    return body + [("", "")] * (room - len(body)) + [(footer, "dim")]


SCREENS = {
    "starting": _starting,
    "ask": _ask,
    "same": _same,
    "ready": _ready,
    "measuring": _measuring,
    "saved": _saved,
    "verdict": _verdict,
    "refused": _refused,
    "fault": _fault,
}
