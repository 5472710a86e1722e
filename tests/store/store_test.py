#!/usr/bin/env python3
"""VMs that are kept: created, started, changed, removed, supervised."""

import json
import os
import signal
import unittest

from rig import OPTIONS, Rig, await_that
from harness import SLOW


class StoreTest(unittest.TestCase):
    def setUp(self):
        self.rig = Rig()
        self.addCleanup(self.rig.__exit__)

    def done(self, *arguments):
        status, out, err = self.rig.banyan(*arguments)
        self.assertEqual(status, 0, f"{arguments}: {err}")
        return out

    def refused(self, *arguments, status=1):
        found, out, err = self.rig.banyan(*arguments)
        self.assertEqual((found, out), (status, ""), f"{arguments}: {err}")
        return err

    def create(self, name, *extra, guest="idle"):
        self.assertEqual(self.done("create", name, "--kernel", guest, *OPTIONS, *extra), f"{name}\n")

    def facts(self, name):
        return json.loads(self.done("show", "--json", name))

    def state(self, name):
        return self.facts(name)["state"]

    def row(self, name):
        return next(row for row in self.rig.rows() if row["name"] == name)

    def test_a_life(self):
        self.create("one")
        self.assertEqual([(vm["name"], vm["state"], vm["pid"]) for vm in self.rig.list("-a")], [("one", "created", None)])
        self.assertEqual(self.rig.list(), [])
        self.assertIn("there is a VM of this name", self.refused("create", "one", "--kernel", "idle"))
        self.assertEqual(self.done("start", "one"), "one\n")
        self.assertEqual([vm["name"] for vm in self.rig.list()], ["one"])
        self.assertEqual(len(self.rig.list("-a")), 1)
        self.assertRegex(self.refused("start", "one"), r"start 'one': it runs already, as process \d+;")
        for command in (("remove", "one"), ("rename", "one", "two"), ("set", "one", "--memory", "32M")):
            self.assertIn("it runs already", self.refused(*command))
        self.assertIn("restart: no\n", self.done("show", "one"))
        self.done("stop", "--force", "one")
        facts = self.facts("one")
        self.assertEqual((facts["state"], facts["last"]["status"], facts["last"]["reason"]), ("stopped", 4, "host-qmp-quit"))
        self.assertEqual(self.done("wait", "one"), "4\n")
        self.done("rename", "one", "two")
        self.done("set", "two", "--memory", "32M", "--restart", "always", "--autostart", "on", "--unset", "balloon")
        facts = self.facts("two")
        self.assertEqual((facts["memory"], facts["restart"], facts["autostart"]), (32 << 20, "always", True))
        self.assertNotIn("balloon", facts["options"])
        self.done("start", "two")
        self.done("remove", "-f", "two")
        self.assertEqual((self.rig.list("-a"), self.rig.processes(), self.rig.leftovers()), ([], [], []))
        self.assertIn("no VM of this name", self.refused("start", "two"))

    def test_ends_are_remembered(self):
        self.create("ends", guest="ends")
        with self.subTest("the guest's own"):
            self.rig.banyan("start", "ends")
            await_that(lambda: self.state("ends") not in ("running", "starting"), "it ends")
            self.assertEqual(self.facts("ends")["last"]["status"], 7)
        with self.subTest("what could not start, with what was said"):
            self.create("lost", guest="nowhere")
            self.assertIn("nowhere", self.refused("start", "lost"))
            facts = self.facts("lost")
            self.assertEqual((facts["state"], facts["last"]["status"]), ("failed", 1))
            self.assertIn("nowhere", facts["last"]["message"])
            self.assertIn("nowhere", self.done("list", "-a"))
        with self.subTest("a killed process"):
            self.create("shot")
            self.done("start", "shot")
            [pid] = self.rig.processes()
            self.rig.kill(pid)
            await_that(lambda: self.rig.list("-a") and self.state("shot") == "killed", "it is seen")
            self.assertIn("killed or crashed", self.done("show", "shot"))
            own = [str(self.rig.store / str(row["id"])) for row in self.rig.rows()]
            self.assertEqual(sorted(self.rig.leftovers()), sorted(own))
            self.done("start", "shot")

    def test_logs_stay(self):
        self.create("one")
        self.done("set", "one", "--console", "file:console.txt")
        self.assertIn("no VM of this name", self.refused("logs", "other"))
        self.done("start", "one")
        self.done("kill", "one")
        self.assertIn("was told to quit", self.done("logs", "--messages", "one"))
        self.assertTrue((self.rig.place / "console.txt").exists(), "names are relative to where it was created")

    def test_toml_comes_back(self):
        self.create("one", "--cpus", "2", "--disk", "it's.img,readonly=on", "--append", 'a "b" \\ c', "--restart", "on-failure")
        text = self.done("show", "--toml", "one")
        (self.rig.place / "one.toml").write_text(text)
        self.done("remove", "one")
        self.assertEqual(self.done("create", "-f", "one.toml"), "one\n")
        self.assertEqual(self.done("show", "--toml", "one"), text)
        self.done("create", "-f", "one.toml", "two", "--cpus", "1")
        self.assertEqual(self.facts("two")["cpus"], 1)
        (self.rig.place / "bad.toml").write_text("name = 'x'\nkernel = 'idle'\nfly = true\n")
        self.assertIn("'fly'", self.refused("create", "-f", "bad.toml"))

    def test_wrong_usage(self):
        for arguments in (("create",), ("create", "a"), ("create", "1", "--kernel", "k"), ("create", "a", "--fly", "--kernel", "k"),
                          ("create", "a", "--kernel", "k", "--detach"), ("create", "a", "--kernel", "k", "--restart", "maybe"),
                          ("start",), ("rename", "a"), ("create", "a", "--kernel", "k", "--memory", "much")):
            self.refused(*arguments, status=2)

    def test_stores_that_cannot_be_used_say_so(self):
        self.create("one")
        store = self.rig.store / "store.db"
        whole = store.read_bytes()
        store.write_bytes(b"x" * 8192)
        self.assertRegex(self.refused("list", "-a"), r"^banyan: the store .*; put back a copy")
        store.write_bytes(whole)
        self.rig.store.chmod(0o755)
        self.assertIn("others own it or have access", self.refused("list", "-a"))
        self.rig.store.chmod(0o700)
        self.assertEqual(self.state("one"), "created")

    def test_supervised(self):
        self.create("auto", "--autostart", "on", "--restart", "on-failure")
        self.create("loops", "--restart", "always", "--autostart", "on", guest="ends")
        self.create("not")
        supervisor = self.rig.popen("supervise")
        try:
            await_that(lambda: [vm["name"] for vm in self.rig.list() if vm["name"] == "auto"], "it starts by itself")
            self.assertEqual(self.state("not"), "created")
            with self.subTest("there is one"):
                self.assertIn("another banyan supervise", self.refused("supervise"))
            with self.subTest("one that was killed is started again"):
                first = self.row("auto")["pid"]
                os.kill(first, signal.SIGKILL)
                await_that(lambda: self.row("auto")["pid"] not in (None, first), "it is started again")
                self.assertEqual(self.facts("auto")["last"]["message"], "its process was ended by SIGKILL")
            with self.subTest("one that its user stopped is not"):
                await_that(lambda: self.state("auto") == "running", "it runs")
                self.done("kill", "auto")
                self.assertEqual(self.state("auto"), "stopped")
            with self.subTest("one that always ends is started again and again"):
                await_that(lambda: self.row("loops")["starts"] >= 3, "it was started three times", 60)
            self.assertEqual((self.row("auto")["starts"], self.row("not")["starts"]), (2, 0))
            supervisor.terminate()
            self.assertEqual(supervisor.wait(30 * SLOW), 0)
        finally:
            supervisor.kill()
            supervisor.communicate()

    def test_a_vm_does_not_carry_the_store(self):
        self.create("one")
        self.done("start", "one")
        [pid] = self.rig.processes()
        with open(f"/proc/{pid}/maps") as maps:
            self.assertNotIn("sqlite", maps.read())

    def test_of_two_that_start_one_wins(self):
        self.create("one")
        clients = [self.rig.popen("start", "one") for _ in range(4)]
        for client in clients:
            client.communicate(timeout=60 * SLOW)
        self.assertEqual(sorted(client.returncode for client in clients), [0, 1, 1, 1])
        self.assertEqual(len(self.rig.processes()), 1)


if __name__ == "__main__":
    os.umask(0o077)
    unittest.main(verbosity=2)
