#!/usr/bin/env python3
"""A guest on its VGA: what the screen shows is read from `banyan screenshot`, and typed at by `banyan send-key` and VNC."""

import re
import subprocess
import time
import unittest

from harness import BOOT_SECONDS, SLOW, Console, Machine, Unexpected, banyan_command, own_directory, vmm_path
from picture import read_png, read_text
from rfb import Refused, RfbClient


class ScreenTest(unittest.TestCase):
    def setUp(self):
        self.directory = own_directory(self, "XDG_RUNTIME_DIR")

    def start(self, *extra):
        machine = Machine(append="console=ttyS0 console=tty0", no_reboot=True,
                          extra=("--machine", "pc", "--name", "seen", "--console", "none", *extra))
        return Console(banyan_command(machine))

    @staticmethod
    def banyan(*arguments):
        return subprocess.run([vmm_path(), *arguments], capture_output=True, text=True, timeout=60 * SLOW)

    def await_text(self, pattern, console, seconds=60):
        deadline = time.monotonic() + seconds * SLOW
        while True:
            shown = self.banyan("screenshot", "seen", "--text")  # fails until the VM is there
            text = shown.stdout or shown.stderr
            if shown.returncode == 0 and re.search(pattern, text, re.MULTILINE):
                return text
            if time.monotonic() > deadline or console.process.poll() is not None:
                raise Unexpected(f"{pattern!r} did not come on the screen:\n{text}", console)
            time.sleep(0.2)

    def await_place(self, console):
        deadline = time.monotonic() + 60 * SLOW
        while time.monotonic() < deadline:
            found = re.search(r"VNC clients find it at (127\.0\.0\.1:\d+)", console.stderr())
            if found:
                return found.group(1)
            time.sleep(0.1)
        raise Unexpected("no VNC server", console)

    def check_picture(self, lines, text):
        """But for the cursor, the picture shows the characters that the guest's memory holds."""
        expected = text.splitlines()
        self.assertEqual(len(lines), 25)
        different = sum(a != b for shown, line in zip(lines, expected)
                        for a, b in zip(shown.ljust(80), line.ljust(80)))
        self.assertLessEqual(different, 1, "\n".join(lines))

    def test_screen(self):
        with self.start("--display", "vnc=127.0.0.1:0") as console:
            text = self.await_text(r"^banyan:/# *$", console, BOOT_SECONDS)
            with self.subTest("the kernel's messages are on the screen"):
                self.assertRegex(text, r"\[ +\d+\.\d+\]")
            with self.subTest("what send-key types reaches the shell"):
                self.assertEqual(self.banyan("send-key", "seen", "--text", "clear; echo $((6*7))\"x|\"", "ret").returncode, 0)
                text = self.await_text(r"^42x\|$", console)
            with self.subTest("the picture shows the same characters"):
                file = self.directory / "screen.png"
                self.assertEqual(self.banyan("screenshot", "seen", str(file)).returncode, 0)
                picture = read_png(file)
                self.assertEqual((picture.width, picture.height), (720, 400))
                self.check_picture(read_text(picture), text)
            self.check_vnc(console, text)
            with self.subTest("a key that there is not"):
                wrong = self.banyan("send-key", "seen", "ctrl-fly")
                self.assertEqual(wrong.returncode, 1)
                self.assertIn("there is no key 'fly'", wrong.stderr)
            self.banyan("send-key", "seen", "--text", "poweroff", "ret")
            self.assertEqual(console.wait(60), 0, console.stderr())
        self.assertEqual(self.banyan("screenshot", "seen", "--text").returncode, 1)
        self.assertEqual(list((self.directory / "banyan").iterdir()), [], "nothing is left behind")

    def check_vnc(self, console, text):
        place = self.await_place(console)
        with RfbClient(place) as first, RfbClient(place) as second:
            self.assertEqual(first.security, [1])
            first.start()
            self.assertEqual(first.name, "seen")
            with self.subTest("a VNC client sees the screen"):
                picture = first.picture()
                self.assertEqual((picture.width, picture.height), (720, 400))
                self.check_picture(read_text(picture), text)
            with self.subTest("what it types reaches the guest, and another client sees it"):
                first.type("echo V$((7*8))C\n")
                self.await_text(r"^V56C$", console)
                second.start()
                self.assertIn("V56C", read_text(second.picture()))
            with self.subTest("it is told of what changes"):
                first.pointer(10, 10)
                first.pointer(20, 15, 1)
                first.type("clear\n")
                deadline = time.monotonic() + 30 * SLOW
                while "V56C" in read_text(first.picture(incremental=True)):
                    self.assertLess(time.monotonic(), deadline)

    def test_password(self):
        file = self.directory / "password"
        file.write_text("secret\n")
        with self.start("--display", f"vnc=127.0.0.1:0,password={file}") as console:
            place = self.await_place(console)
            with RfbClient(place) as client:
                self.assertEqual(client.security, [2])
                with self.assertRaises(Refused):
                    client.start(2, bytes(16))
            with RfbClient(place) as client:
                with self.assertRaises(Refused):
                    client.start(1)

    def test_no_screen(self):
        machine = Machine(no_reboot=True, extra=("--name", "blind"))
        with Console(banyan_command(machine)) as console:
            console.expect(r"Linux version|\$|#", BOOT_SECONDS)
            shown = self.banyan("screenshot", "blind", "--text")
            self.assertEqual(shown.returncode, 1)
            self.assertIn("the VM has no screen", shown.stderr)
        bad = self.banyan("run", "--kernel", machine.kernel, "--display", "vnc")
        self.assertEqual(bad.returncode, 1)
        self.assertIn("the VM has no screen", bad.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
