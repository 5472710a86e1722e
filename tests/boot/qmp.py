"""A client of a VM's control socket (QMP), and what the tests of control share."""

import json
import os
import select
import socket
import sys
import time
from pathlib import Path

from harness import SLOW, guest_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "nested"))
from archive import Archive  # noqa: E402


class Refused(Exception):
    """The VM's answer was an error: its class and what it says."""

    def __init__(self, error):
        super().__init__(f"{error['class']}: {error['desc']}")
        self.kind = error["class"]
        self.text = error["desc"]


class Gone(Exception):
    """The VM has closed the connection."""


class Qmp:
    """Connects as soon as the VM listens there; always to be used in a `with`."""

    def __init__(self, path, negotiate=True, seconds=60):
        self.socket = connect(path, seconds)
        self.buffer = b""
        self.events = []
        self.greeting = self.read()
        if negotiate:
            self.ask("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def read(self, seconds=30):
        """The next message."""
        deadline = time.monotonic() + seconds * SLOW
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([self.socket], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError(f"nothing came within {seconds * SLOW:.0f} s")
            more = self.socket.recv(65536)
            if not more:
                raise Gone()
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def send(self, text):
        self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def answer(self):
        while True:
            message = self.read()
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise Refused(message["error"])
            else:
                return message["return"]

    def ask(self, command, **arguments):
        """What the command returns."""
        request = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        self.send(json.dumps(request))
        return self.answer()

    def event(self, name, seconds=60):
        """The first such event that was not looked at yet; those before it are dropped."""
        while True:
            while self.events:
                event = self.events.pop(0)
                if event["event"] == name:
                    return event
            message = self.read(seconds)
            if "event" in message:
                self.events.append(message)


def connect(path, seconds=60):
    deadline = time.monotonic() + seconds * SLOW
    while True:
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(str(path))
            return client
        except OSError:
            client.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def power_initramfs(path):
    """What makes the small guest listen to its power button: POWER_COMMANDS loads it from there."""
    version = Path(guest_file("kernel/version")).read_text().strip()
    archive = Archive()
    for module in ("drivers/input/evdev.ko", "drivers/acpi/button.ko"):
        archive.add(f"/power/{Path(module).name}", guest_file(f"kernel/root/lib/modules/{version}/kernel/{module}"))
    archive.add("/power/listen", b"#!/bin/sh\n"
                                 b"insmod /power/evdev.ko; insmod /power/button.ko\n"
                                 b"event=$(ls -d /sys/bus/acpi/devices/LNXPWRBN*/input/input*/event* /sys/class/input/input*/event* "
                                 b"2>/dev/null | head -n 1)\n"
                                 b"(head -c 24 /dev/input/${event##*/} >/dev/null; poweroff) &\n", 0o755)
    Path(path).write_bytes(archive.data())


def run_directory():
    return Path(os.environ["XDG_RUNTIME_DIR"]) / "banyan"
