#!/usr/bin/env python3
"""Pools, and what a VM may use of its host: it is planned, applied, changed while the VM runs, and refused where it does not fit.
How exactly CPU time is kept to it is measured by bench/resources/resources.py: nothing here depends on time."""

import json
import subprocess
import time
import unittest

from harness import BOOT_SECONDS, PROMPT, SLOW, Console, Machine, banyan_command, own_directory, vmm_path
from qmp import Qmp, Refused, run_directory

MIB = 1 << 20
QUERY, SET = "__org.banyan_query-resources", "__org.banyan_set-resources"


class ResourcesTest(unittest.TestCase):
    def setUp(self):
        own_directory(self, "XDG_RUNTIME_DIR", "XDG_DATA_HOME")

    @staticmethod
    def banyan(*arguments):
        return subprocess.run([vmm_path(), *arguments], capture_output=True, text=True, timeout=60 * SLOW)

    def done(self, *arguments):
        result = self.banyan(*arguments)
        self.assertEqual((result.returncode, result.stderr), (0, ""), arguments)
        return result.stdout

    def refused(self, status, why, *arguments):
        result = self.banyan(*arguments)
        self.assertEqual((result.returncode, result.stdout), (status, ""), result)
        self.assertRegex(result.stderr, rf"^banyan: .*{why}.*\n$")

    @staticmethod
    def wait_for(qmp, what, is_so):
        """A plan is made once a second: until the VM's facts are as they should be."""
        deadline = time.monotonic() + 60 * SLOW
        while not is_so(facts := qmp.ask(QUERY)):
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not so within {60 * SLOW:.0f} s: {facts}")
            time.sleep(0.2)
        return facts

    def entitled_to(self, qmp, cpu):
        return self.wait_for(qmp, f"entitled to {cpu}", lambda facts: facts.get("cpu_entitlement") == cpu)

    def test_pools(self):
        [root] = json.loads(self.done("pool", "list", "--json"))
        self.assertEqual((root["name"], root["cpu"]["limit"]), ("root", None))
        self.done("pool", "create", "web", "--shares", "2000", "--reservation", "50%", "--memory-limit", "1G")
        self.done("pool", "create", "cache", "--parent", "web", "--limit", "0.5")
        cache = json.loads(self.done("pool", "show", "cache", "--json"))
        self.assertEqual((cache["parent"], cache["cpu"]["limit"]), ("web", 500_000))
        self.assertRegex(self.done("pool", "list"), r"(?m)^web +root +2000 +50% +none +1000 +0 MiB +1 GiB +0$")
        self.assertRegex(self.done("pool", "show", "web"), r"cpu: shares 2000, reservation 50%, limit none")
        self.done("pool", "set", "web", "--limit", "150%", "--reservation", "none")
        self.refused(1, "there is one of that name", "pool", "create", "web")
        self.refused(1, "'nothing': there is no pool", "pool", "show", "nothing")
        self.refused(1, "the pool 'cache' is in it", "pool", "remove", "web")
        self.refused(1, "it stays", "pool", "remove", "root")
        self.refused(2, "would be in itself", "pool", "set", "web", "--parent", "cache")
        self.refused(2, "nothing to change", "pool", "set", "web")
        self.refused(2, "that is no CPU time", "pool", "set", "web", "--limit", "fast")
        self.refused(2, "who has no shares", "pool", "set", "web", "--shares", "0")
        self.refused(2, "more than the limit of 150%", "pool", "set", "web", "--reservation", "2")
        self.refused(1, "would be reserved, and this host has", "pool", "set", "root", "--reservation", "9999")
        self.done("pool", "remove", "cache")
        self.done("pool", "remove", "web")
        self.assertEqual(len(json.loads(self.done("pool", "list", "--json"))), 1)

    def start(self, *extra):
        return Console(banyan_command(Machine(memory="512M", append="console=ttyS0 banyan.modules=virtio_pci,virtio_balloon",
                                               extra=("--cpu-control", "throttle", *extra))))

    def test_a_vm_in_a_pool(self):
        self.done("pool", "create", "test", "--limit", "80%")
        with self.start("--name", "kept", "--pool", "test", "--limit", "60%", "--memory-limit", "256M") as console:
            console.expect(PROMPT, BOOT_SECONDS)
            with Qmp(run_directory() / f"{console.process.pid}.qmp") as qmp:
                self.check_applied(qmp)
                self.check_changes(qmp)
                self.check_refusals(qmp)
                self.check_balloon(qmp)
            self.refused(1, "the VM 'kept' is in it", "pool", "remove", "test")
            console.send("poweroff\n")
            self.assertEqual(console.wait(120), 0, console.stderr())
        self.done("pool", "remove", "test")

    def check_applied(self, qmp):
        facts = self.entitled_to(qmp, 600_000)
        self.assertEqual((facts["pool"], facts["control"], facts["cpu_ceiling"]), ("test", "throttle", 600_000))
        shown = json.loads(self.done("pool", "show", "test", "--json"))
        self.assertEqual([vm["name"] for vm in shown["vms"]], ["kept"])
        self.assertEqual(shown["vms"][0]["cpu_entitlement"], 600_000)

    def check_changes(self, qmp):
        self.done("set", "kept", "--shares", "3000", "--limit", "70%")
        self.assertEqual(self.entitled_to(qmp, 700_000)["cpu"]["shares"], 3000)
        self.done("set", "kept", "--limit", "none")
        self.entitled_to(qmp, 800_000)  # the pool's
        self.done("pool", "set", "test", "--limit", "90%")
        self.entitled_to(qmp, 900_000)
        self.done("set", "kept", "--pool", "root")
        self.assertEqual(self.wait_for(qmp, "in the root", lambda facts: facts["cpu_ceiling"] == 1_000_000)["pool"], "root")
        self.done("set", "kept", "--pool", "test")
        self.entitled_to(qmp, 900_000)

    def check_refusals(self, qmp):
        self.refused(1, r"in the pool 'test' 95% of CPU would be reserved, and its limit is 90%; reserve less",
                     "set", "kept", "--reservation", "95%")
        self.refused(1, "there is no pool of that name", "set", "kept", "--pool", "nothing")
        self.refused(2, "nothing to change", "set", "kept")
        with self.assertRaisesRegex(Refused, "make no sense"):
            qmp.ask(SET, **{"cpu-limit": 0})
        self.done("set", "kept", "--reservation", "50%")
        command = banyan_command(Machine(extra=("--pool", "test", "--reservation", "60%")))
        result = subprocess.run(command, capture_output=True, text=True, timeout=60 * SLOW, stdin=subprocess.DEVNULL)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertRegex(result.stderr, r"in the pool 'test' 110% of CPU would be reserved, and its limit is 90%; reserve less")
        self.refused(2, "the VM has 1 CPU only", *command[1:-1], "150%")

    def check_balloon(self, qmp):
        """The guest gives back what is beyond the limit of its memory."""
        self.wait_for(qmp, "256 MiB", lambda facts: facts.get("memory_actual", 1 << 40) <= 256 * MIB)
        self.done("set", "kept", "--memory-limit", "none")
        self.wait_for(qmp, "all of it again", lambda facts: facts.get("memory_actual") == 512 * MIB)


if __name__ == "__main__":
    unittest.main(verbosity=2)
