"""Debian's gdb on a terminal of its own, and symbols for it of a kernel that comes without."""

import re
import subprocess
from pathlib import Path

from harness import Console, guest_file

# All that may otherwise ask back, wrap or colour.
SETTINGS = ("set pagination off", "set confirm off", "set width 0", "set style enabled off", "set remotetimeout 60")


class Gdb(Console):
    """To be used in a `with`. `place`: what `target remote` is to connect to."""

    def __init__(self, place, symbols):
        # A plain terminal: no bracketed paste, no moves of the cursor.
        super().__init__(["env", "TERM=dumb", "gdb", "-nx", "-q", str(symbols)])
        self.prompt = r"\(gdb\) $"
        try:
            self.expect(self.prompt)
            for setting in (*SETTINGS, f"target remote {place}"):
                self.do(setting, 60)
        except BaseException:
            self.__exit__()
            raise

    def do(self, command, seconds=30):
        """What a command prints."""
        start = self.type(command)
        end = self.expect(self.prompt, seconds)
        return self.transcript[start:end.start()].replace("\r", "")

    def type(self, command):
        """Types a command that does not end by itself; where in the transcript its output begins."""
        self.send(command + "\n")
        return self.expect(re.escape(command) + r"\r*\n").end()

    def go_on(self, command="continue"):
        self.type(command)
        if command == "continue":
            self.expect(r"Continuing\.")

    def stopped(self, pattern, seconds=60):
        """Waits for a stop that is announced like this, and for the prompt behind it."""
        match = self.expect(pattern, seconds)
        self.expect(self.prompt)
        return match

    def interrupt(self):
        self.send("\x03")
        return self.stopped(r"received signal SIGINT.*\n")


def kernel_symbols(console, names):
    """{name: address} in the guest of this console, at its shell."""
    pattern = "|".join(names)
    output, _ = console.run(f"grep -E ' ({pattern})$' /proc/kallsyms", 60)
    return {line.split()[2]: int(line.split()[0], 16) for line in output.splitlines()}


def write_symbols(functions, path):
    """The kernel's ELF file with names for these functions, which lie in .text."""
    kernel = guest_file("kernel/vmlinux")
    headers = subprocess.run(["readelf", "-SW", kernel], check=True, capture_output=True, text=True).stdout
    text = int(re.search(r"\] \.text +PROGBITS +([0-9a-f]+)", headers).group(1), 16)
    names = [f"--add-symbol={name}=.text:{address - text:#x},function,global" for name, address in functions.items()]
    subprocess.run(["objcopy", "--remove-section=.BTF", *names, kernel, path], check=True)
    return Path(path)


def gdb_place(console):
    """Where the guest of this console says that it can be debugged."""
    return re.search(r"target remote (\S+)", console.stderr()).group(1)


__all__ = ["Gdb", "gdb_place", "kernel_symbols", "write_symbols"]
