# A firmware bundle on its way into the slot that does not run. Order of promises: signature and
# every refusal before the first write; each file hashed as it comes and renamed only if right; all
# of them hashed again from the flash; then slot.json names the slot for a trial (rom/slots.py).
#
# Where the bytes come from is the caller's: `wanted` says which come next. After a disconnect or a
# power cut the same bundle goes on with the first file that is not there yet. Never touches the
# slot that runs. Does not decide when it is a good time.

import hashlib
import json
import os
from binascii import hexlify

import signature
from faults import UnitError
from fieldassay_wire import WireError, bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KEYS = "/trust.json"
BLOCK_BYTES = 4096  # of the flash, for the room a file takes
SPARE_BLOCKS = 12  # for folders, the spool and the log


def _refuse(code, what, do_next="Ask for the right release."):
    raise UnitError("update_" + code, what, do_next)


# The public keys this unit takes firmware from; none, and so no update, without the file.
def trusted_keys(root):
    try:
        with open(root + KEYS) as file:
            return [bytes.fromhex(text) for text in json.load(file)["firmware_keys"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


class Update:
    # slots: rom/slots.py's; keys: trusted public keys; hardware: this board's name; clock(): (unix
    # ms, quality). feed(): the watchdog's, called between pieces of work.
    def __init__(self, slots, keys, hardware, clock, feed=lambda: None):
        self.manifest: Any = None  # of the bundle under way
        self.sha256: Any = None  # of its manifest, 32 bytes
        self.expiry_unchecked = False
        self.total_bytes = 0
        self._slots = slots
        self._keys = keys
        self._hardware = hardware
        self._clock = clock
        self._feed = feed
        self._folder = ""
        self._slot = ""
        self._manifest_bytes = b""
        self._at = 0  # file under way
        self._file: Any = None
        self._digest: Any = None
        self._offset = 0  # of the next wanted byte in the bundle
        self._left = 0  # bytes of the file still to come

    # `head`: the bundle's bytes from the start to the end of the manifest. UnitError: refused, and
    # nothing was written.
    def begin(self, head):
        self.abandon()
        if self._slots.on_trial():
            _refuse("trial", "The last update has yet to prove itself.", "Wait a few minutes.")
        try:
            size, key, proof = bundle.read_head(head)
            manifest_bytes = bytes(head[bundle.HEAD_BYTES :])
            if len(manifest_bytes) != size:
                raise WireError("bad_bundle", "The manifest is not complete.")
        except WireError as error:
            _refuse("damaged", error.what, "Send the bundle again.")
        digest = hashlib.sha256(manifest_bytes).digest()
        self._check_signature(key, proof, digest)
        try:
            manifest = bundle.read_manifest(manifest_bytes)
        except WireError as error:
            _refuse("damaged", error.what)
        self._check(manifest)
        self.manifest = manifest
        self.sha256 = digest
        self._manifest_bytes = manifest_bytes
        self.total_bytes = len(head) + bundle.files_bytes(manifest)
        self._offset = len(head)
        self._make_room()
        self._next_file()

    def _check_signature(self, key, proof, digest):
        if proof == bundle.UNSIGNED:
            _refuse("unsigned", "The firmware is not signed.")
        if key not in self._keys:
            _refuse("key_unknown", "The firmware is signed with a key this unit does not trust.")
        self._feed()
        if not signature.verify(key, signature.signed_bytes(digest), proof):
            _refuse("altered", "The firmware was altered: its signature does not fit.")
        self._feed()

    def _check(self, manifest):
        if self._hardware not in manifest["hardware"]:
            _refuse("wrong_hardware", "The firmware is not for this board.")
        if manifest["sequence"] < self._slots.state["minimum"]:
            _refuse("below_minimum", "The firmware is older than this unit may go back to.")
        if manifest["sequence"] <= self._slots.sequence():
            _refuse("older", "The firmware is not newer than the one that runs.")
        unix_ms, quality = self._clock()
        self.expiry_unchecked = quality == "unset" and manifest["expires_s"] > 0
        if quality != "unset" and 0 < manifest["expires_s"] < unix_ms // 1000:
            _refuse("expired", "The release has expired.")

    # What is wanted and right stays; all else in the slot goes.
    def _make_room(self):
        self._slot = self._slots.clear()
        self._folder = self._slots.root + "/" + self._slot
        _make_folder(self._folder)
        wanted = {}
        for entry in self.manifest["files"]:
            wanted[entry[0]] = entry[1]
        _sweep(self._folder, "", wanted)
        blocks = SPARE_BLOCKS
        for path, size in wanted.items():
            if _size(self._folder + "/" + path) != size:
                blocks += size // BLOCK_BYTES + 1
        facts = os.statvfs(self._slots.root or "/")
        if facts[0] * facts[3] < blocks * BLOCK_BYTES:
            self.manifest = None
            _refuse("too_big", "The flash has no room for this firmware.")

    # (offset in the bundle, bytes) that come next, at most `most`; None: all there, call finish.
    def wanted(self, most):
        if self._file is None:
            return None
        return self._offset, min(most, self._left)

    # Bytes at `offset`; others than the wanted ones are ignored. UnitError: the file is wrong.
    def block(self, offset, data):
        if self._file is None or offset != self._offset or len(data) > self._left:
            return False
        self._file.write(data)
        self._digest.update(data)
        self._offset += len(data)
        self._left -= len(data)
        if self._left == 0:
            self._end_file()
            self._next_file()
        return True

    def _end_file(self):
        path, _, expected = self.manifest["files"][self._at]
        self._file.close()
        self._file = None
        if hexlify(self._digest.digest()).decode() != expected:
            os.remove(self._folder + "/" + path + ".new")
            self.manifest = None
            _refuse("altered", path + " is not what was released.", "Send the bundle again.")
        os.rename(self._folder + "/" + path + ".new", self._folder + "/" + path)
        self._at += 1

    # Goes over what is right already and opens the first that is not.
    def _next_file(self):
        files = self.manifest["files"]
        while self._at < len(files):
            path, size, expected = files[self._at]
            self._feed()
            if not _is(self._folder + "/" + path, size, expected):
                if "/" in path:
                    _make_folders(self._folder, path)
                self._file = open(self._folder + "/" + path + ".new", "wb")  # noqa: SIM115
                self._digest = hashlib.sha256()
                self._left = size
                if size:
                    return
                self._end_file()
            else:
                self._offset += size
                self._at += 1

    # All files are there: check them again as they are on the flash and name the slot for a trial.
    def finish(self):
        path = self._folder + "/manifest.json"
        with open(path + ".new", "wb") as file:
            file.write(self._manifest_bytes)
        os.rename(path + ".new", path)
        manifest = self.manifest
        name = hexlify(self.sha256).decode()
        self._slots.install(self._slot, name, manifest["sequence"], manifest["minimum_sequence"])
        self.abandon()

    # Forget the bundle under way; what is on flash waits for the same one.
    def abandon(self):
        if self._file is not None:
            self._file.close()
        self._file = self._digest = self.manifest = self.sha256 = None
        self._manifest_bytes = b""
        self._at = 0


def _is(path, size, expected):
    if _size(path) != size:
        return False
    digest = hashlib.sha256()
    block = bytearray(512)
    with open(path, "rb") as file:
        while True:
            got = file.readinto(block)
            if not got:
                return hexlify(digest.digest()).decode() == expected
            digest.update(memoryview(block)[:got])


def _size(path):
    try:
        return os.stat(path)[6]
    except OSError:
        return -1


def _make_folder(path):
    try:
        os.mkdir(path)
    except OSError:
        pass  # it exists; if it does not, the first file says so


def _make_folders(folder, path):
    for part in path.split("/")[:-1]:
        folder = folder + "/" + part
        _make_folder(folder)


# Removes every file under folder that is not wanted (by path), and the manifest.
def _sweep(folder, prefix, wanted):
    for name in os.listdir(folder):
        path = folder + "/" + name
        if os.stat(path)[0] & 0x4000:
            _sweep(path, prefix + name + "/", wanted)
            if not os.listdir(path):
                os.rmdir(path)
        elif prefix + name not in wanted:
            os.remove(path)
