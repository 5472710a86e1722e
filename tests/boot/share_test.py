#!/usr/bin/env python3
"""A guest's kernel mounts directories of this machine: both see what the other does, and nobody leaves the directory.

Called as `share_test.py FACTOR`, file-model runs as often as that.
"""

import os
import stat
import sys
import tempfile
import time
import unittest
from pathlib import Path

from harness import BOOT_SECONDS, Console, Machine, PROMPT, banyan_command, guest_file, kernel_complaints, report

FACTOR = 1
OPERATIONS = 5000  # of file-model, for each way of caching


class ShareTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        base = Path(directory.name)
        self.both, self.fast, self.fixed = (base / name for name in ("both", "fast", "fixed"))
        for place in (self.both, self.fast, self.fixed):
            place.mkdir()
        self.secret = base / "secret"
        self.secret.write_text("secret\n")

    def console(self):
        machine = Machine(memory="256M", initrd=guest_file("share/initramfs"), append="console=ttyS0 quiet "
                          "banyan.modules=auto", no_reboot=True,
                          extra=("--share", f"{self.both}:both", "--share", f"{self.fast}:fast,cache=writeback",
                                 "--share", f"{self.fixed}:fixed,readonly=on"))
        return Console(banyan_command(machine))

    def check(self, console, command, expected="", status=0, seconds=60):
        output, found = console.run(command, seconds)
        self.assertEqual(found, status, f"{command}: {output}")
        self.assertIn(expected, output, command)
        return output

    def test_both_see_what_the_other_does(self):
        (self.both / "from-host").write_text("hello guest\n")
        (self.fixed / "fixed").write_text("stays\n")
        with self.console() as console:
            console.expect(PROMPT, BOOT_SECONDS)
            for tag in ("both", "fast", "fixed"):
                self.check(console, f"mkdir -p /mnt/{tag} && mount -t virtiofs {tag} /mnt/{tag}")
            self.check(console, "cd /mnt/both")
            console.prompt = r"banyan:/mnt/both# "
            self.files(console)
            self.names(console)
            self.host_changes(console)
            self.ways_out(console)
            self.read_only(console)
            for tag in ("both", "fast"):
                self.model(console, tag)
            console.prompt = PROMPT
            self.check(console, "cd / && umount /mnt/both /mnt/fast /mnt/fixed && mount -t virtiofs both /mnt/both && "
                       "cat /mnt/both/from-guest", "hello host")
            self.assertEqual(kernel_complaints(console.run("dmesg")[0]), [])
            console.send("poweroff\n")
            self.assertEqual(console.wait(60), 0, console.stderr())
            report(f"the guest with three shares: {console.elapsed():.1f} s")
        self.assertEqual(self.secret.read_text(), "secret\n")

    def files(self, console):
        self.check(console, "cat from-host", "hello guest")
        self.check(console, "echo hello host > from-guest")
        self.assertEqual((self.both / "from-guest").read_text(), "hello host\n")
        self.check(console, "chmod 640 from-guest && ls -ln from-guest", "-rw-r-----    1 0        0")
        self.assertEqual(stat.S_IMODE((self.both / "from-guest").stat().st_mode), 0o640)
        self.check(console, "dd if=/dev/urandom of=large bs=64k count=64 2>/dev/null && sha256sum large | tee sum")
        self.check(console, "echo 3 >/proc/sys/vm/drop_caches; sha256sum -c sum", "large: OK")
        self.assertEqual((self.both / "large").stat().st_size, 64 << 16)
        self.check(console, "truncate -s 1000 large && wc -c < large && rm large", "1000")
        self.assertFalse((self.both / "large").exists())

    def names(self, console):
        self.check(console, "mkdir -p a/b && echo x > a/b/c && mv a/b d && cat d/c", "x")
        self.assertEqual((self.both / "d/c").read_text(), "x\n")
        self.check(console, "ln d/c hard && ln -s d/c soft && cat soft && ls -l hard", "    2 0")
        self.assertEqual(os.readlink(self.both / "soft"), "d/c")
        self.check(console, "mv d/c hard2 && cat soft", "No such file", status=1)
        self.check(console, "rmdir d && rm -r a hard hard2 soft && ls", "from-guest")
        self.check(console, "for i in $(seq 200); do echo $i > many-$i; done; ls many-* | wc -l; rm many-*", "200")

    def host_changes(self, console):
        """New names and what a file holds at once; that a name is gone after a second."""
        (self.both / "appears").write_text("first\n")
        self.check(console, "cat appears", "first")
        (self.both / "appears").write_text("second, and longer\n")
        self.check(console, "cat appears", "second, and longer")
        (self.both / "appears").unlink()
        self.check(console, "sleep 2; cat appears", "No such file", status=1)

    def ways_out(self, console):
        """Links of the host's lead where the guest's own root leads."""
        (self.both / "out").symlink_to(self.secret.parent)
        (self.both / "up").symlink_to("../secret")
        self.check(console, "cat out/secret", "No such file", status=1)
        self.check(console, "cat up", "No such file", status=1)
        self.check(console, "ls -i .. | grep -c secret", "0", status=1)
        self.check(console, "mknod device c 1 3", "Operation not permitted", status=1)
        self.check(console, "mknod fifo p && (echo through > fifo & cat fifo) && rm fifo", "through")

    def read_only(self, console):
        self.check(console, "cat /mnt/fixed/fixed", "stays")
        for change in ("echo x > /mnt/fixed/fixed", "echo x > /mnt/fixed/new", "rm /mnt/fixed/fixed",
                       "mkdir /mnt/fixed/d", "chmod 777 /mnt/fixed/fixed", "mv /mnt/fixed/fixed /mnt/fixed/other"):
            self.check(console, change, "Read-only file system", status=1)
        self.assertEqual((self.fixed / "fixed").read_text(), "stays\n")
        self.assertEqual(len(list(self.fixed.iterdir())), 1)

    def model(self, console, tag):
        started = time.monotonic()
        self.check(console, f"mkdir /mnt/{tag}/m && file-model /mnt/{tag}/m {OPERATIONS * FACTOR} 1", "file-model: ok",
                   seconds=200 * FACTOR)
        report(f"file-model, {OPERATIONS * FACTOR} operations on {tag}: {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].isdigit():
        FACTOR = int(sys.argv.pop(1))
    unittest.main(verbosity=2)
