#!/usr/bin/env python3
"""repository.py DIRECTORY FILES PACKAGES UDEBS: a Debian repository of what has been downloaded.

FILES is the directory with the .deb and .udeb files, PACKAGES and UDEBS are the indexes of Debian's archive: the stanzas of
what is there are taken from them as they are, so that priorities, sizes and checksums are Debian's.
"""

import gzip
import hashlib
import shutil
import sys
from pathlib import Path

SUITE = "bookworm"


def stanzas(index):
    """Each stanza's text, and its fields of one line."""
    for text in Path(index).read_text(encoding="utf-8").strip().split("\n\n"):
        lines = (line.split(": ", 1) for line in text.split("\n") if not line.startswith(" ") and ": " in line)
        yield text, dict(lines)


def take(repository, files, index):
    """The stanzas of what is in the directory of files, whose files go to their place in the pool."""
    sums = {hashlib.sha256(file.read_bytes()).hexdigest(): file for file in files.iterdir() if file.suffix in (".deb", ".udeb")}
    taken = []
    for text, fields in stanzas(index):
        file = sums.pop(fields["SHA256"], None)
        if file:
            place = repository / fields["Filename"]
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(file, place)
            taken.append(text)
    # An empty line after the last one as well: debootstrap reads a stanza up to there.
    return "".join(f"{text}\n\n" for text in taken)


def write_index(suite, name, text):
    place = suite / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")
    Path(f"{place}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    # The installer looks here whether the mirror has its architecture.
    (place.parent / "Release").write_text("Archive: stable\nOrigin: Debian\nLabel: Debian\nAcquire-By-Hash: no\n"
                                          "Component: main\nArchitecture: amd64\n")


def write_release(suite):
    indexes = sorted(file for file in suite.rglob("Packages*") if file.is_file())
    lines = ["Origin: Debian", "Label: Debian", "Suite: stable", f"Codename: {SUITE}", "Version: 12",
             "Date: Thu, 01 Jan 2026 00:00:00 UTC", "Architectures: amd64", "Components: main"]
    for heading, algorithm in (("MD5Sum", "md5"), ("SHA256", "sha256")):
        lines.append(f"{heading}:")
        for file in indexes:
            digest = hashlib.new(algorithm, file.read_bytes()).hexdigest()
            lines.append(f" {digest} {file.stat().st_size} {file.relative_to(suite)}")
    (suite / "Release").write_text("\n".join(lines) + "\n")


def main(directory, files, packages, udebs):
    repository = Path(directory)
    suite = repository / "dists" / SUITE
    write_index(suite, "main/binary-amd64/Packages", take(repository, Path(files), packages))
    write_index(suite, "main/debian-installer/binary-amd64/Packages", take(repository, Path(files), udebs))
    write_release(suite)
    (suite.parent / "stable").symlink_to(SUITE)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
