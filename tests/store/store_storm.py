#!/usr/bin/env python3
"""Random lifecycle operations by concurrent clients, with clients and VMs killed at random: the store stays whole.

    store_storm.py [--operations 1000] [--clients 8] [--seed N]

Prints what was done, and fails when a command ends in an unknown way, or when there is, at the end, a process that the
store does not know, a socket or a file that is left over, or a VM that cannot be removed.
"""

import argparse
import collections
import os
import random
import sys
import threading
import time

from rig import OPTIONS, Rig, await_that

NAMES = [f"vm{number}" for number in range(6)]
KNOWN_STATUSES = (0, 1, 2, 7)  # of commands that were not killed; 7: the guest ended before it was in the background
OPERATIONS = {"create": 4, "start": 8, "stop": 2, "kill": 2, "remove": 2, "remove -f": 2, "rename": 1, "set": 1,
              "list -a": 2, "show": 1, "wait": 1, "kill process": 3}
CLIENT_IS_KILLED = 0.2  # how often
LONGEST_LIFE = 0.15  # of such a client, in seconds


class Storm:
    def __init__(self, rig, operations, clients, seed):
        self.rig = rig
        self.left = operations
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.problems = []
        self.threads = [threading.Thread(target=self.client, args=(random.Random(f"{seed}-{number}"),))
                        for number in range(clients)]

    def run(self):
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join()

    def take_one(self):
        with self.lock:
            self.left -= 1
            return self.left >= 0

    def client(self, chance):
        while self.take_one() and not self.problems:
            try:
                self.operate(chance)
            except Exception as error:  # noqa: BLE001: whatever it is, it is the result
                self.problems.append(f"{type(error).__name__}: {error}")

    def operate(self, chance):
        [what] = chance.choices(list(OPERATIONS), list(OPERATIONS.values()))
        if what == "kill process":
            self.kill_process(chance)
            return
        name, other = chance.choice(NAMES), chance.choice(NAMES)
        guest = chance.choice((self.rig.idle, self.rig.idle, self.rig.ends))
        arguments = {
            "create": ("create", name, "--kernel", guest, *OPTIONS),
            "stop": ("stop", "--force", name),
            "remove -f": ("remove", "-f", name),
            "rename": ("rename", name, other),
            "set": ("set", name, "--memory", chance.choice(("16M", "24M"))),
            "list -a": ("list", "-a"),
        }.get(what, (what, name))
        # A VM that nobody ends is waited for no longer than this.
        lives = chance.uniform(0, LONGEST_LIFE) if what == "wait" or chance.random() < CLIENT_IS_KILLED else None
        self.command(what, arguments, lives)

    def command(self, what, arguments, lives):
        with self.rig.popen(*arguments) as process:
            timer = threading.Timer(lives, process.kill) if lives is not None else None
            if timer:
                timer.start()
            try:
                _, err = process.communicate(timeout=120)
            except Exception:
                process.kill()
                raise
            if timer:
                timer.cancel()
        how = "killed" if process.returncode < 0 else "done" if process.returncode == 0 else "refused"
        self.count(f"{what}: {how}")
        was_killed = lives is not None and process.returncode == -9
        if not was_killed and (process.returncode not in KNOWN_STATUSES or "defect" in err):
            self.problems.append(f"{arguments}: status {process.returncode}: {err}")

    def kill_process(self, chance):
        figures = sorted(self.rig.run_directory.glob("*.json")) if self.rig.run_directory.exists() else []
        if not figures:
            return
        pid = int(chance.choice(figures).name.split(".")[0])
        if pid in self.rig.processes():
            self.rig.kill(pid)
            self.count("VM's process: killed")

    def count(self, what):
        with self.lock:
            self.counts[what] += 1


def check_end(rig):
    """What must hold once the last client is gone."""
    def known():
        rows = rig.list("-a") and rig.rows()
        return {row["pid"] for row in rows if row["pid"]} if rows else set()
    await_that(lambda: known() == set(rig.processes()), "the processes are those that the store knows")
    for row in rig.rows():
        status, _, err = rig.banyan("remove", "-f", row["name"])
        if status != 0:
            raise AssertionError(f"remove -f {row['name']}: {err}")
    await_that(lambda: not rig.processes(), "no process is left")
    if rig.list("-a"):
        raise AssertionError(f"VMs are left: {rig.list('-a')}")
    if rig.leftovers():
        raise AssertionError(f"files are left: {rig.leftovers()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operations", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", default=str(random.randrange(1 << 32)))
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    began = time.monotonic()
    with Rig() as rig:
        storm = Storm(rig, args.operations, args.clients, args.seed)
        storm.run()
        for what, count in sorted(storm.counts.items()):
            print(f"{count:6} {what}")
        if storm.problems:
            return "\n".join(storm.problems)
        check_end(rig)
    print(f"{args.operations} operations by {args.clients} clients in {time.monotonic() - began:.1f} s: all is as it was")
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
