"""Measurements waiting on flash until the host has them: append, read in blocks, release.

A record is written as .tmp, closed and renamed, so after a power cut it is whole or absent. Its
name holds boot, sequence number and the start of its SHA-256; what no longer fits its name is set
aside as .bad, never deleted. Only release() with the right digest frees a slot. Also keeps the boot
counter. Knows nothing about messages, keys or the network.
"""

import hashlib
import os
import struct
from binascii import hexlify

_BLOCK = 512
_ENOENT = 2
_ENOSPC = 28
_COUNTER = "boot"
_ENTRY = 16


class SpoolError(Exception):
    # code, what, do_next: as every error of fieldassay.
    def __init__(self, code, what, do_next):
        self.code = code
        self.what = what
        self.do_next = do_next
        super().__init__(what + " " + do_next)


class SpoolFull(SpoolError):  # noqa: N818 - says what is the matter
    pass


def _full(what):
    return SpoolFull("spool_full", what, "Bring the unit into the host's network to send them.")


def _flash_error(error):
    return SpoolError(
        "spool_flash",
        "The flash refuses ({}).".format(error),
        "Repeat the measurement; if this comes again, have the unit serviced.",
    )


class Spool:
    # root: folder of its own, made if missing; capacity: records; tick: called between records
    # while the start-up scan runs (a watchdog can be fed there).
    # bad: damaged records set aside, of this and earlier starts.
    def __init__(self, root, capacity, tick=None):
        self.root = root
        self.capacity = capacity
        self.bad = 0
        self.used = 0
        # Boot, seq, start of the digest of each record, sorted: one block of memory for good; a
        # hundred small objects would cut the heap into pieces too small for a frame.
        self._index = bytearray(_ENTRY * capacity)
        self._scan(tick)

    def pending(self):
        # [(boot, seq)], oldest first.
        return [struct.unpack_from(">II", self._index, i * _ENTRY) for i in range(self.used)]

    def holds(self, boot, seq):
        return self._find(struct.pack(">II", boot, seq)) >= 0

    def append(self, boot, seq, chunks):
        # Writes the chunks as one record and returns the SHA-256 of its bytes. When this returns,
        # the record survives a power cut. When it raises, nothing of it is left.
        if self.used >= self.capacity:
            raise _full("All {} slots hold unsent measurements.".format(self.capacity))
        key = struct.pack(">II", boot, seq)
        if self._find(key) >= 0:
            raise SpoolError(
                "spool_exists",
                "Measurement {} of boot {} is already stored.".format(seq, boot),
                "Restart the unit.",
            )
        tmp = self._path(_hex(key) + ".tmp")
        digest = hashlib.sha256()
        done = False
        try:
            with open(tmp, "wb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    if file.write(chunk) != len(chunk):
                        raise OSError(_ENOSPC)
            digest = digest.digest()
            entry = key + digest[:8]
            os.rename(tmp, self._path(_name(entry)))
            done = True
        except OSError as error:
            if error.errno == _ENOSPC:
                raise _full("The flash has no room for another measurement.") from None
            raise _flash_error(error) from None
        finally:
            if not done:
                _remove_quietly(tmp)
        self._insert(entry)
        return digest

    def size(self, boot, seq):
        # Bytes of the record.
        return os.stat(self._record(boot, seq))[6]

    def open_blocks(self, boot, seq, block=_BLOCK):
        # Yields the bytes of the record as views of one buffer: use each before asking for the
        # next. Whoever stops early calls close() on the generator.
        return _blocks(self._record(boot, seq), block)

    def digest(self, boot, seq):
        # SHA-256 of the bytes as they are on flash now.
        return _digest(self._record(boot, seq))

    def release(self, boot, seq, digest):
        # Frees the slot and returns True if the record is there and has this digest, else False.
        at = self._find(struct.pack(">II", boot, seq))
        if at < 0:
            return False
        path = self._path(_name(self._entry(at)))
        try:
            if _digest(path) != bytes(digest):
                return False
            os.remove(path)
        except OSError as error:
            raise _flash_error(error) from None
        end = self.used * _ENTRY
        self._index[at * _ENTRY : end - _ENTRY] = self._index[(at + 1) * _ENTRY : end]
        self.used -= 1
        return True

    def next_boot(self):
        # Counts this start of the unit and returns its number: 1 at the first, never one again.
        path = self._path(_COUNTER)
        try:
            with open(path) as file:
                last = int(file.read())
        except OSError as error:
            if error.errno != _ENOENT:
                raise _flash_error(error) from None
            last = 0
        except ValueError:
            raise SpoolError(
                "spool_counter",
                "The boot counter on flash is damaged.",
                "Have the unit serviced: it must not number measurements twice.",
            ) from None
        for boot, _ in self.pending():
            last = max(last, boot)
        try:
            with open(path + ".tmp", "w") as file:
                file.write(str(last + 1))
            os.rename(path + ".tmp", path)
        except OSError as error:
            raise _flash_error(error) from None
        return last + 1

    # --- inside -----------------------------------------------------------------------------------

    def _scan(self, tick):
        try:
            os.mkdir(self.root)
        except OSError:
            pass  # it exists; if it does not, listdir says so
        for name in os.listdir(self.root):
            if name.endswith(".tmp"):
                _remove_quietly(self._path(name))
            elif name.endswith(".bad"):
                self.bad += 1
            elif name.endswith(".rec"):
                entry = self._checked(name)
                if entry is None:
                    self._set_aside(name)
                else:
                    self._insert(entry)
            if tick is not None:
                tick()

    def _checked(self, name):
        # The index entry of a record whose content fits its name, else None.
        try:
            key = struct.pack(">II", int(name[:8], 16), int(name[9:17], 16))
            entry = key + _digest(self._path(name))[:8]
        except (OSError, ValueError):
            return None
        return entry if _name(entry) == name and self._find(key) < 0 else None

    def _set_aside(self, name):
        self.bad += 1
        try:
            os.rename(self._path(name), self._path(name[:-4] + ".bad"))
        except OSError:
            pass  # it stays under its name and is judged again at the next start

    def _path(self, name):
        return self.root + "/" + name

    def _entry(self, at):
        return bytes(self._index[at * _ENTRY : (at + 1) * _ENTRY])

    def _find(self, key):
        for at in range(self.used):
            if self._index[at * _ENTRY : at * _ENTRY + 8] == key:
                return at
        return -1

    def _insert(self, entry):
        at = self.used
        while at > 0 and self._entry(at - 1) > entry:
            at -= 1
        end = self.used * _ENTRY
        if end == len(self._index):  # found at start: more records than this capacity
            self._index.extend(bytes(_ENTRY))
        self._index[(at + 1) * _ENTRY : end + _ENTRY] = self._index[at * _ENTRY : end]
        self._index[at * _ENTRY : (at + 1) * _ENTRY] = entry
        self.used += 1

    def _record(self, boot, seq):
        at = self._find(struct.pack(">II", boot, seq))
        if at < 0:
            raise SpoolError(
                "spool_unknown",
                "Measurement {} of boot {} is not stored.".format(seq, boot),
                "It was delivered before, or never taken.",
            )
        return self._path(_name(self._entry(at)))


def _hex(key):
    return hexlify(key[:4]).decode() + "-" + hexlify(key[4:8]).decode()


def _name(entry):
    return _hex(entry) + "-" + hexlify(entry[8:]).decode() + ".rec"


def _blocks(path, block):
    buffer = memoryview(bytearray(block))
    with open(path, "rb") as file:
        while True:
            count = file.readinto(buffer)
            if not count:
                return
            yield buffer[:count]


def _digest(path):
    digest = hashlib.sha256()
    for block in _blocks(path, _BLOCK):
        digest.update(block)
    return digest.digest()


def _remove_quietly(path):
    try:
        os.remove(path)
    except OSError:
        pass  # not there, or the flash is dead: the next start tries again
