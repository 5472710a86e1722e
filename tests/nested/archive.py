"""Packs an initramfs: an archive in the "newc" format (Linux, Documentation/driver-api/early-userspace/buffer-format.rst)."""

import os
import stat
from pathlib import PurePosixPath


class Archive:
    """Files and the directories above them, all root's. `data()` can be appended to another archive."""

    def __init__(self):
        self.parts = []
        self.directories = set()

    def add(self, place, content, mode=0o644):
        """`content`: bytes, or the path of a file on this machine, whose mode then counts too."""
        place = PurePosixPath(place)
        self._add_directories(place.parent)
        if not isinstance(content, bytes):
            mode = stat.S_IMODE(os.stat(content).st_mode)
            with open(content, "rb") as file:
                content = file.read()
        self._add_entry(str(place), stat.S_IFREG | mode, content)

    def _add_directories(self, directory):
        if directory == directory.parent or directory in self.directories:
            return
        self._add_directories(directory.parent)
        self.directories.add(directory)
        self._add_entry(str(directory), stat.S_IFDIR | 0o755, b"")

    def _add_entry(self, name, mode, content):
        name = name.lstrip("/").encode() + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        # ino, mode, uid, gid, nlink, mtime, filesize, dev (2), rdev (2), namesize, check
        fields = (len(self.parts) + 1, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(name), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        self.parts.append(_padded(header + name) + _padded(content))

    def data(self):
        trailer = b"TRAILER!!!\0"
        header = b"070701" + b"00000000" * 4 + b"00000001" + b"00000000" * 6 + b"%08X" % len(trailer) + b"00000000"
        return b"".join(self.parts) + _padded(header + trailer)


def _padded(data):
    return data + b"\0" * (-len(data) % 4)
