# Which of the two firmwares of a unit runs: /a or /b. Stands in the root of the flash beside
# boot.py and main.py, is never updated over the air, and so knows nothing of what a firmware is:
# only slot.json, the hashes in a slot's manifest.json, and how often a new one may try.
#
# slot.json is replaced as a whole (x.new, rename): that rename is the moment of every change.
#   active    the slot that was confirmed last
#   trial     a slot that has to prove itself, or ""
#   boots     starts of the trial so far
#   minimum   no slot with a lower sequence starts any more
#   a, b      [SHA-256 of manifest.json in hex, sequence, minimum sequence], or null: not whole
#   why       why the last trial was given up, or ""
# The signature of a manifest was verified before its hash came here (update.py).

import hashlib
import json
import os

TRIES = 3
STATE = "/slot.json"
MANIFEST = "/manifest.json"


class Slots:
    # root: prefix of the flash, "" on boards.
    def __init__(self, root=""):
        self.root = root
        self.running = ""
        self.state = self._load()

    # The slot to start, counted if it is a trial; "" if none is whole.
    def choose(self):
        state = self.state
        trial = state["trial"]
        if trial:
            if state["boots"] >= TRIES:
                self.revert("it did not confirm itself")
            elif not self.whole(trial):
                self.revert("its files are damaged")
            else:
                state["boots"] += 1
                self._save()
                self.running = trial
                return trial
        for name in (state["active"], other(state["active"])):
            if state[name] and state[name][1] >= state["minimum"] and self.whole(name):
                if name != state["active"]:
                    state["active"] = name
                    self._save()
                self.running = name
                return name
        return ""

    # Whether this start has yet to prove the firmware.
    def on_trial(self):
        return bool(self.running) and self.running == self.state["trial"]

    # Sequence of the firmware that runs.
    def sequence(self):
        entry = self.state.get(self.running)
        return entry[1] if entry else 0

    def confirm(self):
        if self.on_trial():
            state = self.state
            state["active"] = self.running
            state["trial"] = ""
            state["boots"] = 0
            state["why"] = ""
            state["minimum"] = max(state["minimum"], state[self.running][2])
            self._save()

    # Give a trial up; the other slot starts next.
    def revert(self, why):
        trial = self.state["trial"]
        if trial:
            self.state[trial] = None
            self.state["trial"] = ""
            self.state["boots"] = 0
            self.state["why"] = why
            self._save()

    # Before anything in the slot that does not run is touched. Returns its name.
    def clear(self):
        name = other(self.running)
        if self.state[name] or self.state["trial"] == name:
            self.state[name] = None
            if self.state["trial"] == name:
                self.state["trial"] = ""
            self._save()
        return name

    # The slot is complete: it is tried from the next start on.
    def install(self, name, manifest_sha256, sequence, minimum):
        self.state[name] = [manifest_sha256, sequence, minimum]
        self.state["trial"] = name
        self.state["boots"] = 0
        self.state["why"] = ""
        if not self.whole(name):
            raise OSError(5, "slot " + name + " is not whole")
        self._save()

    # Whether manifest and files of a slot are what slot.json and the manifest say.
    def whole(self, name, recorded=True):
        folder = self.root + "/" + name
        try:
            size, digest = file_digest(folder + MANIFEST)
            if recorded and (not self.state[name] or digest != self.state[name][0]):
                return False
            for path, size, digest in self._manifest(name)["files"]:
                if file_digest(folder + "/" + path) != (size, digest):
                    return False
            return True
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _manifest(self, name):
        with open(self.root + "/" + name + MANIFEST) as file:
            return json.load(file)

    def _load(self):
        try:
            with open(self.root + STATE) as file:
                state = json.load(file)
            for key in ("active", "trial", "boots", "minimum", "a", "b", "why"):
                state[key]
            return state
        except (OSError, ValueError, KeyError, TypeError):
            return self._found()

    # No slot.json: what is whole may start, the newest first. A cut never leads here.
    def _found(self):
        state = json.loads('{"active":"a","trial":"","boots":0,"minimum":0,"why":""}')
        state["a"] = state["b"] = None
        for name in ("a", "b"):
            if self.whole(name, False):
                manifest = self._manifest(name)
                digest = file_digest(self.root + "/" + name + MANIFEST)[1]
                state[name] = [digest, manifest["sequence"], manifest["minimum_sequence"]]
        if state["b"] and (not state["a"] or state["b"][1] > state["a"][1]):
            state["active"] = "b"
        return state

    def _save(self):
        path = self.root + STATE
        with open(path + ".new", "w") as file:
            json.dump(self.state, file)
        os.rename(path + ".new", path)


def other(name):
    return "b" if name == "a" else "a"


# (size, SHA-256 in hex) of a file, streamed.
def file_digest(path):
    digest = hashlib.sha256()
    block = bytearray(512)
    size = 0
    with open(path, "rb") as file:
        while True:
            got = file.readinto(block)
            if not got:
                break
            size += got
            digest.update(memoryview(block)[:got])
    return size, "".join(["%02x" % byte for byte in digest.digest()])
