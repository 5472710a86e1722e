#!/usr/bin/env python3
"""A VM is controlled by QMP over its sockets, by several clients at once."""

import json
import os
import stat
import subprocess
import time
import unittest

from harness import BOOT_SECONDS, SLOW, Console, Machine, banyan_command, guest_file, own_directory, vmm_path
from picture import read_png
from qmp import Gone, Qmp, Refused, power_initramfs, run_directory

COMMANDS = {"qmp_capabilities", "query-status", "query-version", "query-commands", "query-name", "query-kvm",
            "query-cpus-fast", "balloon", "query-balloon", "query-blockstats", "query-block", "query-chardev", "query-uuid",
            "stop", "cont",
            "system_powerdown", "system_reset", "quit", "screendump", "send-key", "query-memory-size-summary",
            "blockdev-add", "blockdev-del", "netdev_add", "netdev_del", "device_add", "device_del", "block_resize",
            "__org.banyan_device-add", "__org.banyan_query-devices", "query-sandbox",
            "__org.banyan_query-resources", "__org.banyan_set-resources",
            "__org.banyan_publish", "__org.banyan_unpublish", "__org.banyan_query-published", "__org.banyan_capture",
            "__org.banyan_set-net-rate", "__org.banyan_query-net-rates"}


class ControlTest(unittest.TestCase):
    def setUp(self):
        self.directory = own_directory(self, "XDG_RUNTIME_DIR")
        self.disk = self.directory / "disk.img"
        self.disk.write_bytes(bytes(4 << 20))
        self.control = self.directory / "control"

    def start(self, *extra, **options):
        power = self.directory / "power"
        power_initramfs(power)
        machine = Machine(initrd=f"{guest_file('shell/initramfs')},{power}", disks=(f"{self.disk},format=raw",),
                          extra=("--name", "steered", "--control", str(self.control), *extra), **options)
        return Console(banyan_command(machine))

    @staticmethod
    def usual_socket(console):
        return run_directory() / f"{console.process.pid}.qmp"

    def check_nothing_is_left(self):
        self.assertEqual(list(run_directory().iterdir()), [])
        self.assertFalse(self.control.exists())

    def test_control(self):
        with self.start("--machine", "pc", append="console=tty0 console=ttyS0 banyan.modules=virtio_pci,virtio_blk",
                        cpus=2) as console:
            with Qmp(self.usual_socket(console)) as first, Qmp(self.control, negotiate=False) as second:
                self.check_protocol(first, second)
                console.expect(console.prompt, BOOT_SECONDS)
                self.check_facts(first, console)
                self.check_pause(first, second)
                self.check_screen(first, console)
                self.check_reset(first, second, console)
                self.check_power_off(first, second, console)
        self.check_nothing_is_left()

    def check_protocol(self, first, second):
        with self.subTest("the greeting, and what comes before the negotiation"):
            self.assertEqual(second.greeting["QMP"]["version"]["qemu"]["major"], 7)
            self.assertEqual(second.greeting["QMP"]["capabilities"], [])
            with self.assertRaisesRegex(Refused, "CommandNotFound: Expecting capabilities negotiation"):
                second.ask("query-status")
            self.assertEqual(second.ask("qmp_capabilities"), {})
        with self.subTest("nobody else may use the socket"):
            self.assertEqual(stat.S_IMODE(self.control.stat().st_mode), 0o600)
        with self.subTest("what is wrong is refused, and does no harm"):
            for text, why in (("nonsense\n", "JSON parse error"), ("[1]\n", "must be a JSON object"),
                              ('{"execute": 7}\n', "must be a string"), ('{"execute":"stop","x":1}', "is unexpected"),
                              ("[" * 100 + "\n", "nesting depth"), ('{"x":"' + "y" * 300_000 + '"}\n', "size limit")):
                second.send(text)
                with self.assertRaisesRegex(Refused, why):
                    second.answer()
            with self.assertRaisesRegex(Refused, "CommandNotFound: The command fly has not been found"):
                second.ask("fly")
            with self.assertRaisesRegex(Refused, "Parameter 'filename' is missing"):
                second.ask("screendump")
            with self.assertRaisesRegex(Refused, "Invalid parameter type for 'filename', expected: string"):
                second.ask("screendump", filename=1)
        with self.subTest("answers carry their id"):
            first.send('{"execute":"query-name","id":[1,"a"]}{"execute":"query-uuid","id":null}')
            self.assertEqual(first.read(), {"return": {"name": "steered"}, "id": [1, "a"]})
            self.assertIsNone(first.read()["id"])

    def check_facts(self, qmp, console):
        with self.subTest("facts"):
            self.assertEqual({one["name"] for one in qmp.ask("query-commands")}, COMMANDS)
            self.assertEqual(qmp.ask("query-status"), {"running": True, "singlestep": False, "status": "running"})
            self.assertIn("banyan", qmp.ask("query-version")["package"])
            self.assertEqual(qmp.ask("query-kvm"), {"enabled": False, "present": True})
            self.assertEqual(qmp.ask("query-memory-size-summary")["base-memory"], 512 << 20)
            threads = {one["thread-id"] for one in qmp.ask("query-cpus-fast")}
            self.assertEqual(len(threads), 2)
            self.assertLessEqual(threads, {int(task) for task in os.listdir(f"/proc/{console.process.pid}/task")})
            self.assertRegex(qmp.ask("query-uuid")["UUID"], r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
            self.assertEqual(qmp.ask("query-chardev")[0]["filename"], "stdio")
        with self.subTest("disks, and what they did"):
            [disk] = qmp.ask("query-block")
            self.assertEqual((disk["device"], disk["inserted"]["file"]), ("disk0", str(self.disk)))
            self.assertEqual(disk["inserted"]["image"]["virtual-size"], 4 << 20)
            before = qmp.ask("query-blockstats")[0]["stats"]
            console.run("dd if=/dev/zero of=/dev/vda bs=65536 count=16 conv=fsync; dd if=/dev/vda of=/dev/null bs=65536 "
                        "skip=32 count=16")
            after = qmp.ask("query-blockstats")[0]["stats"]
            self.assertEqual(after["wr_bytes"] - before["wr_bytes"], 1 << 20)
            self.assertGreaterEqual(after["rd_bytes"] - before["rd_bytes"], 1 << 20)
            self.assertGreater(after["flush_operations"], before["flush_operations"])
            self.assertEqual(after["failed_rd_operations"], 0)

    @staticmethod
    def instructions():
        """What the vCPUs have counted; of a publication that began after this was called."""
        before = None
        deadline = time.monotonic() + 30 * SLOW
        while time.monotonic() < deadline:
            [vm] = json.loads(subprocess.run([vmm_path(), "stats", "--json"], capture_output=True, timeout=30 * SLOW).stdout)
            if before is not None and vm["seconds"] > before + 1:
                return sum(vcpu["instructions"] for vcpu in vm["vcpus"])
            before = vm["seconds"] if before is None else before
            time.sleep(0.1)
        raise TimeoutError("the figures are not published any more")

    def check_pause(self, first, second):
        with self.subTest("a paused guest does nothing"):
            self.assertEqual(first.ask("stop"), {})
            second.event("STOP")
            self.assertEqual(second.ask("query-status")["status"], "paused")
            still = self.instructions()
            self.assertEqual(self.instructions(), still)
            self.assertEqual(first.ask("stop"), {}, "twice is once")
        with self.subTest("and goes on"):
            self.assertEqual(second.ask("cont"), {})
            first.event("RESUME")
            self.assertEqual(first.ask("query-status")["status"], "running")
            self.assertGreater(self.instructions(), still)

    def check_screen(self, qmp, console):
        with self.subTest("a picture of the screen"):
            file = self.directory / "screen.png"
            self.assertEqual(qmp.ask("screendump", filename=str(file)), {})
            picture = read_png(file)
            self.assertEqual((picture.width, picture.height), (720, 400))
            with self.assertRaisesRegex(Refused, "does not accept value 'jpeg'"):
                qmp.ask("screendump", filename=str(file), format="jpeg")
            with self.assertRaisesRegex(Refused, "No such file or directory"):
                qmp.ask("screendump", filename="/nowhere/x.png")
        with self.subTest("keys are typed"):
            console.run("exec 7</dev/tty1")  # a terminal that nobody has open takes no keys
            for keys in (["shift", "h"], ["i"], ["ret"]):
                self.assertEqual(qmp.ask("send-key", keys=[{"type": "qcode", "data": key} for key in keys]), {})
            self.assertEqual(console.run('read -r typed <&7; echo "got $typed."', 60)[0], "got Hi.\n")
            for wrong in ([{"type": "qcode", "data": "fly"}], [{"type": "number", "data": 999}], ["a"]):
                with self.assertRaises(Refused):
                    qmp.ask("send-key", keys=wrong)

    def check_reset(self, first, second, console):
        with self.subTest("a reset boots it again"):
            self.assertEqual(first.ask("system_reset"), {})
            self.assertEqual(second.event("RESET")["data"], {"guest": False, "reason": "host-qmp-system-reset"})
            console.expect("Linux version", 60)
            console.expect(console.prompt, BOOT_SECONDS)

    def check_power_off(self, first, second, console):
        with self.subTest("the power button ends it with 0"):
            console.run("/power/listen; sleep 1")
            self.assertEqual(first.ask("system_powerdown"), {})
            second.event("POWERDOWN")
            data = second.event("SHUTDOWN")["data"]
            self.assertEqual((data["guest"], data["reason"], data["__org.banyan_status"]), (True, "guest-shutdown", 0))
            with self.assertRaises(Gone):
                second.event("none")
            self.assertEqual(console.wait(60), 0, console.stderr())

    def test_quit_and_silent_clients(self):
        with self.start() as console, Qmp(self.usual_socket(console)) as qmp:
            with self.subTest("clients that say nothing, or leave in the middle, do no harm"):
                silent = [Qmp(self.control, negotiate=False) for _ in range(4)]
                silent[0].send('{"execute":"qmp_capa')
                for client in silent:
                    client.socket.close()
            self.assertEqual(qmp.ask("quit"), {})
            self.assertEqual(qmp.event("SHUTDOWN")["data"]["reason"], "host-qmp-quit")
            self.assertEqual(console.wait(30), 4, console.stderr())
            self.assertIn("its control socket was told to quit", console.stderr())
        self.check_nothing_is_left()

    def test_panic(self):
        with self.start(append='console=ttyS0 panic=5 banyan.modules=pvpanic-mmio '
                               'banyan.run="echo c > /proc/sysrq-trigger"') as console, Qmp(self.control) as qmp:
            qmp.event("GUEST_PANICKED", BOOT_SECONDS)
            self.assertEqual(qmp.event("SHUTDOWN")["data"]["__org.banyan_status"], 3)
            self.assertEqual(console.wait(30), 3, console.stderr())


if __name__ == "__main__":
    unittest.main(verbosity=2)
