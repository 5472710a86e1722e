#!/usr/bin/env python3
"""Reads the includes under src/ and fails on one that runs against the layers.

The rules are the table in docs/architecture.md ("Layout"). A room is a folder with a CMakeLists.txt; what it includes must
also be reachable through the libraries that its CMakeLists.txt links. Tests, fuzz targets and benchmarks may include what
their room may, and the test helpers of other rooms (a folder named testing, and snapshot/device_state_test.hpp). Helpers
are headers for such tests: they may use the contracts and snapshot, whatever room they stand in.
"""

import argparse
import pathlib
import re
import sys

BELOW_ENGINES = ["support", "vm", "snapshot"]

# Room, or folder of rooms -> what it may include. The longest prefix counts.
ALLOWED = {
    "support": [],
    "vm": ["support"],
    "snapshot": ["support"],
    "resources": ["support"],
    "arch/x86": ["support", "vm", "snapshot"],
    "backends": ["support", "vm", "host/posix"],
    "backends/block": ["support", "vm", "host/posix", "backends/block/image", "backends/block/foreign"],
    "backends/block/foreign": ["support", "backends/block/image"],
    "backends/block/image": ["support"],
    "devices": BELOW_ENGINES,
    "devices/chipset": BELOW_ENGINES + ["devices/pci"],
    "devices/virtio": BELOW_ENGINES + ["devices/pci", "devices/scsi"],
    "devices/storage": BELOW_ENGINES + ["devices/pci", "devices/scsi"],
    "devices/watchdog": BELOW_ENGINES + ["devices/pci"],
    "devices/net": BELOW_ENGINES + ["devices/pci", "network/packets"],
    "devices/display": BELOW_ENGINES + ["devices/pci", "devices/virtio"],
    "cpu/interp": BELOW_ENGINES + ["arch/x86"],
    "cpu/jit": BELOW_ENGINES + ["arch/x86", "cpu/interp"],
    "cpu/kvm": BELOW_ENGINES + ["arch/x86", "cpu/interp", "host/posix"],
    "cpu/hw": BELOW_ENGINES + ["arch/x86", "cpu/interp"],
    "loader": ["support", "vm", "arch/x86"],
    "network": ["support", "vm", "network/packets"],
    "network/offload": ["support", "vm", "network/packets"],
    "network/switching": ["support", "vm", "network/packets"],
    "network/services": ["support", "vm", "network/packets"],
    "network/port": ["support", "vm", "network/packets", "network/switching", "host/posix"],
    "backends/net": ["support", "vm", "host/posix", "network/packets", "network/port"],
    "backends/switch": ["support", "vm", "host/posix", "network"],
    "machine": BELOW_ENGINES + ["arch/x86", "devices", "loader", "machine"],
    "host": ["support", "vm", "host/posix"],
    "vmm": BELOW_ENGINES + ["arch/x86", "backends", "devices", "cpu", "loader", "machine", "host", "network", "resources"],
    "control": ["support", "snapshot", "network/packets", "vmm/vm_api.hpp"],
    "manager": ["support", "snapshot", "resources", "host", "manager/store"],
    "manager/store": ["support", "host"],
    "app": [""],  # everything
}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
ROOM = re.compile(r"banyan_room\(\s*(\w+)(.*?)\)", re.DOTALL)
TEST_FILE = re.compile(r"(_test|_fuzz|_bench)\.cpp$|_testing\.hpp$|_test\.hpp$|/testing/")


def inside(path, folder):
    return folder == "" or path == folder or path.startswith(folder + "/")


def rule_of(folder):
    keys = [key for key in ALLOWED if inside(folder, key)]
    return max(keys, key=len) if keys else None


def may_include(folder, target):
    if folder.endswith("/testing") and any(inside(target, allowed) for allowed in BELOW_ENGINES):
        return True
    return any(inside(target, allowed) for allowed in ALLOWED[rule_of(folder)])


class Rooms:
    """The rooms that the CMakeLists.txt files declare, and which libraries each links."""

    def __init__(self, source):
        self.folder_of = {}  # library name -> folder
        self.links = {}  # folder -> library names
        for file in sorted(source.rglob("CMakeLists.txt")):
            folder = file.parent.relative_to(source).as_posix()
            for name, arguments in ROOM.findall(file.read_text()):
                self.folder_of[name] = folder
                self.links[folder] = self.linked(arguments)

    @staticmethod
    def linked(arguments):
        words = re.sub(r"#.*", "", arguments).split()
        return {word.removeprefix("banyan_") for word in words if word.startswith("banyan_")}

    def room_of(self, path):
        folders = [folder for folder in self.links if inside(path, folder)]
        return max(folders, key=len) if folders else None

    def reachable(self, folder):
        seen = set()
        wanted = [folder]
        while wanted:
            at = wanted.pop()
            if at in seen:
                continue
            seen.add(at)
            wanted += [self.folder_of[name] for name in self.links.get(at, ()) if name in self.folder_of]
        return seen


def is_test_helper(target):
    return "/testing/" in target or target == "snapshot/device_state_test.hpp"


def check_file(rooms, source, file):
    path = file.relative_to(source).as_posix()
    folder = file.parent.relative_to(source).as_posix()
    if rule_of(folder) is None:
        yield f"{path}: no layer is known for this folder; add it to docs/architecture.md and to this check"
        return
    is_test = TEST_FILE.search(path) is not None
    own_room = rooms.room_of(path)
    linked = rooms.reachable(own_room)
    for target in INCLUDE.findall(file.read_text(errors="replace")):
        if is_test and is_test_helper(target):
            continue
        target_room = rooms.room_of(target)
        if not (source / target).exists():
            yield f'{path}: includes "{target}", which is not a path from src/'
        elif target_room == own_room:
            continue
        elif not may_include(folder, target):
            yield f'{path}: includes "{target}", but {rule_of(folder)} may not'
        elif target_room not in linked and not is_test:
            yield f'{path}: includes "{target}", but no DEPS of its CMakeLists.txt lead to {target_room}'


def check(source):
    rooms = Rooms(source)
    files = [file for file in source.rglob("*") if file.suffix in (".hpp", ".cpp", ".h", ".c", ".inc", ".def")]
    if not files:
        return [f"{source}: there are no sources to check"]
    return [problem for file in sorted(files) for problem in check_file(rooms, source, file)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=pathlib.Path, nargs="?", default=pathlib.Path(__file__).parent.parent / "src")
    problems = check(parser.parse_args().source)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
