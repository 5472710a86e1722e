#!/usr/bin/env python3
"""Runs the suite of programs under Banyan, under QEMU's TCG and natively, and says how Banyan stands to its bars.

    suite.py --banyan PROGRAM --guests DIRECTORY [--engine NAME] [--sides NAME,...] [--only NAME,...] [--runs N]
             [--scale FACTOR|NAME=FACTOR,...] [--limit SECONDS] [--clock wall|cpu] [--json FILE] [--list]

The same programs with the same files and the same amount of work on each side: two guests with one CPU from one disk, and
this machine, tied to one CPU, with those files as its root directory. In each run all sides are started; then each program
runs on one side after the other, once, so that what else the host does meets all; the median of the runs counts. The host
takes the times between two lines that the agent (bench/suite/agent) prints. What a program prints has to be the same on all
sides in all runs. A program that takes longer than --limit, or that ends its guest, is reported; the others go on. The status
is 0 when all programs ran well with equal results, whatever the bars say.
"""

import argparse
import collections
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import scores
from peers import Banyan, Failure, Qemu, boot_times, end_by_signal, lines, running, say, take_priority

SUITE = Path(__file__).resolve().parent / "suite"
START_LIMIT = 300
AGENT = "/usr/lib/banyan/suite/guest"
Workload = collections.namedtuple("Workload", "name group size title")
Outcome = collections.namedtuple("Outcome", "seconds result problem")


# The sides. Each has a name and a command that starts the agent; a guest can also boot to the shell.


class Guest:
    def __init__(self, name, monitor, guests):
        self.name = name
        self.shell = monitor.boot(str(guests / "kernel/vmlinuz"), str(guests / "shell/initramfs"), "console=ttyS0")
        self.command = monitor.disk(str(guests / "kernel/vmlinuz"), str(guests / "shell/initramfs"),
                                    f'console=ttyS0 quiet root=/dev/vda ro banyan.run="{AGENT}"',
                                    str(guests / "suite/disk.img"))


class Native:
    name = "native"
    shell = None

    def __init__(self, guests):
        # Mounts of its own: as root, or as the root of a user namespace.
        self.enter = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
        self.command = self.enter + [str(SUITE / "native"), str(guests / "suite/root"), str(max(os.sched_getaffinity(0)))]

    def is_possible(self):
        return subprocess.run(self.enter + ["true"], stderr=subprocess.DEVNULL, check=False).returncode == 0


class Agents:
    """The running agents of all sides, started when they are needed first, and again after a failure."""

    def __init__(self):
        self.stacks = {}
        self.processes = {}

    def run(self, side, work):
        """work(process); one that fails is ended, and what its program said goes into the failure."""
        try:
            return work(self.started(side))
        except Failure:
            self.processes.pop(side.name)
            self.stacks.pop(side.name).__exit__(*sys.exc_info())
            raise

    def started(self, side):
        if side.name not in self.processes:
            stack = self.stacks[side.name] = contextlib.ExitStack()
            self.processes[side.name] = stack.enter_context(running(side.command, stdin=subprocess.PIPE))
            wait_until_ready(self.processes[side.name], START_LIMIT)
        return self.processes[side.name]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for stack in self.stacks.values():
            stack.close()


def agent_lines(process, limit):
    """The lines of the agent, without what else is on the console."""
    for when, words in lines(process, limit):
        if words[:1] == ["suite:"]:
            yield when, words[1:]
    raise Failure(f"{process.args[0]} ended with {process.wait()}")


def wait_until_ready(process, limit):
    for _, words in agent_lines(process, limit):
        if words == ["ready"]:
            return


def run_workload(process, workload, options):
    """One program once. The limit is that of all: preparation, work, checksum."""
    try:
        process.stdin.write(f"{workload.name} {workload.size}\n".encode())
        process.stdin.flush()
    except BrokenPipeError:
        raise Failure(f"{process.args[0]} has ended") from None
    begun = ended = status = result = None
    messages = []
    for when, words in agent_lines(process, options.limit):
        match words:
            case ["begin", workload.name]:
                begun = getattr(when, options.clock)
            case ["end", workload.name, status]:
                ended = getattr(when, options.clock)
            case ["result", workload.name, result]:
                pass
            case ["ready"]:
                break
            case _:
                messages.append(" ".join(words))
    if status != "0" or None in (begun, result):
        return Outcome(None, None, "; ".join([f"ended with status {status}", *messages]))
    return Outcome(ended - begun, result, None)


def measure_once(agents, side, workload, options):
    try:
        if workload.name == "boot":
            return Outcome(getattr(boot_times(side.shell), options.clock), None, None)
        return agents.run(side, lambda process: run_workload(process, workload, options))
    except Failure as failure:
        return Outcome(None, None, str(failure))


def can_run(side, workload):
    return workload.name != "boot" or side.shell is not None


def measure(sides, workloads, options):
    """{workload: {side: [Outcome]}}; a program that failed on a side is not tried there again."""
    outcomes = {workload.name: {side.name: [] for side in sides} for workload in workloads}
    for run in range(1, options.runs + 1):
        with Agents() as agents:
            for workload in workloads:
                for side in sides:
                    past = outcomes[workload.name][side.name]
                    if not can_run(side, workload) or any(outcome.problem for outcome in past):
                        continue
                    outcome = measure_once(agents, side, workload, options)
                    past.append(outcome)
                    say(f"suite: run {run} of {options.runs}: {workload.name}: {side.name}: "
                        + (outcome.problem or f"{outcome.seconds:.2f} s"))
    return outcomes


# What is asked for.


def wrong_usage(text):
    say(text)
    sys.exit(2)


def all_workloads():
    """Boot, and what bench/suite/workloads.txt lists."""
    result = [Workload("boot", "whole", 1, "Debian's cloud kernel to the shell of the initramfs, from the start of the program")]
    for line in (SUITE / "workloads.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, group, size, title = line.split(maxsplit=3)
            result.append(Workload(name, group, int(size), title))
    return result


def factors(text):
    """'0.1' for all, 'NAME=0.5' for one, or both, separated by commas; {None: ..., NAME: ...}."""
    result = {None: 1.0}
    for part in filter(None, text.split(",")):
        name, equals, factor = part.rpartition("=")
        result[name if equals else None] = float(factor)
    return result


def chosen_workloads(options):
    known = all_workloads()
    names = [workload.name for workload in known]
    unknown = [name for name in [*options.only, *filter(None, options.scale)] if name not in names]
    if unknown:
        wrong_usage(f"no program {', '.join(unknown)}: there are {', '.join(names)}; name some of those")
    return [workload._replace(size=max(1, round(workload.size * options.scale.get(workload.name, options.scale[None]))))
            for workload in known if not options.only or workload.name in options.only]


def chosen_sides(options):
    """In the order in which they run."""
    banyan = Banyan(str(Path(options.banyan).resolve()), options.engine)
    sides = [Guest("banyan", banyan, options.guests), Guest("tcg", Qemu(), options.guests), Native(options.guests)]
    unknown = set(options.sides) - {side.name for side in sides}
    if unknown:
        wrong_usage(f"no side {', '.join(sorted(unknown))}: there are banyan, tcg and native; name some of those")
    sides = [side for side in sides if side.name in options.sides]
    if isinstance(sides[-1], Native) and not sides[-1].is_possible():
        say("suite: without the native side: that needs root, or user namespaces that anyone may make")
        sides.pop()
    return sides


def words_of(text):
    return [name for name in text.split(",") if name]


def arguments():
    environment = os.environ.get
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--banyan", default="build/release/banyan", help="the program")
    parser.add_argument("--guests", default="build/guests", type=Path, help="what scripts/guests/prepare.sh made")
    parser.add_argument("--engine", default=environment("ENGINE") or None, help="Banyan's engine (default: its choice)")
    parser.add_argument("--sides", type=words_of, default="banyan,tcg,native", help="some of banyan,tcg,native")
    parser.add_argument("--only", type=words_of, default=environment("ONLY", ""), metavar="NAME,...", help="some programs")
    parser.add_argument("--runs", type=int, default=int(environment("RUNS", "3")))
    parser.add_argument("--scale", type=factors, default=environment("SCALE", "1"), metavar="FACTOR|NAME=FACTOR,...",
                        help="how much of its work each program does, on all sides alike")
    parser.add_argument("--limit", type=float, default=float(environment("LIMIT", "180")), metavar="SECONDS",
                        help="for one program, once")
    parser.add_argument("--clock", choices=("wall", "cpu"), default=environment("CLOCK", "wall"),
                        help="the time that passed, or the processor time that a side used")
    parser.add_argument("--json", type=Path, help="write all results to this file too")
    parser.add_argument("--list", action="store_true", help="list the programs, and do no more")
    return parser.parse_args()


def main():
    options = arguments()
    take_priority()
    end_by_signal()
    try:
        workloads = chosen_workloads(options)
        if options.list:
            for workload in workloads:
                print(f"{workload.name:<10}{workload.group:<9}{workload.size:>8}  {workload.title}")
            return 0
        sides = chosen_sides(options)
        outcomes = measure(sides, workloads, options)
    except (Failure, OSError) as error:
        say(f"cannot run the suite: {error}; run the command by hand to see more")
        return 1
    rows = [scores.Row(workload, outcomes[workload.name]) for workload in workloads]
    scores.print_all(rows, [side.name for side in sides], is_whole=len(workloads) == len(all_workloads()))
    if options.json:
        setting = {"runs": options.runs, "clock": options.clock, "engine": options.engine}
        options.json.write_text(json.dumps(setting | scores.as_json(rows), indent=2) + "\n")
    return 1 if any(row.problems for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
