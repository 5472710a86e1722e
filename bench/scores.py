"""From what the suite measured to rows, means, and the bars of the JIT."""

import collections
import statistics

from peers import say

CLASSES = {
    "integer": "integer programs and interpreters",
    "vector": "floating point and vectors",
    "memory": "memory streams",
    "system": "system calls, processes, faults, pipes",
    "whole": "boot and package installation",
}
CPU_BOUND = ("integer", "vector", "memory")


class Row:
    """What is known of one workload: the median of each side, where all of its runs were well."""

    def __init__(self, workload, outcomes):
        """The outcomes are those of each side: {side: [Outcome of bench/suite.py]}."""
        self.workload = workload
        self.runs = {side: [outcome.seconds for outcome in runs] for side, runs in outcomes.items()}
        self.seconds = {}
        self.problems = {}
        for side, runs in outcomes.items():
            problem = next((outcome.problem for outcome in runs if outcome.problem), None)
            if problem:
                self.problems[side] = problem
            elif runs:
                self.seconds[side] = statistics.median(outcome.seconds for outcome in runs)
        results = {outcome.result for runs in outcomes.values() for outcome in runs if outcome.result is not None}
        if len(results) > 1:
            by_side = (f"{side} {','.join(sorted({str(outcome.result)[:8] for outcome in runs}))}"
                       for side, runs in outcomes.items() if runs)
            self.problems["results differ"] = "; ".join(by_side)

    def ratio(self, over, under):
        """How many times as long the one takes as the other, or None."""
        one, other = self.seconds.get(over), self.seconds.get(under)
        return one / other if one and other else None

    @property
    def speed_up(self):
        return self.ratio("tcg", "banyan")

    @property
    def slowdown(self):
        return self.ratio("banyan", "native")


Bar = collections.namedtuple("Bar", "title members ratio summary bound at_least")


def mean(ratios):
    return statistics.geometric_mean(ratios)


def group_of(*groups):
    return lambda workload: workload.group in groups


def named(*names):
    return lambda workload: workload.name in names


# Those of the JIT's issue: against TCG at least, against native at most.
BARS = [
    Bar("all programs, mean", lambda workload: True, "speed_up", mean, 5, True),
    Bar("the slowest of all", lambda workload: True, "speed_up", min, 1, True),
    Bar("integer and interpreters, mean", group_of("integer"), "speed_up", mean, 3, True),
    Bar("floating point and vectors, mean", group_of("vector"), "speed_up", mean, 8, True),
    Bar("memory streams, mean", group_of("memory"), "speed_up", mean, 10, True),
    Bar("the slowest of calls, switches, forkexec", named("calls", "switches", "forkexec"), "speed_up", min, 2, True),
    Bar("boot to the shell", named("boot"), "speed_up", min, 1.5, True),
    Bar("CPU-bound programs to native, mean", group_of(*CPU_BOUND), "slowdown", mean, 3, False),
]


def judge(bar, rows):
    """(value or None, verdict): a program that Banyan did not get through fails each bar that it belongs to."""
    members = [row for row in rows if bar.members(row.workload)]
    ratios = [ratio for row in members if (ratio := getattr(row, bar.ratio)) is not None]
    if not ratios:
        value, verdict = None, "not measured"
    else:
        value = bar.summary(ratios)
        verdict = "pass" if (value >= bar.bound if bar.at_least else value <= bar.bound) else "FAIL"
    missing = [row.workload.name for row in members if getattr(row, bar.ratio) is None]
    if any("banyan" in row.problems or "results differ" in row.problems for row in members):
        verdict = "FAIL"
    return value, verdict + (f" (without {', '.join(missing)})" if ratios and missing else "")


def means_of(rows):
    """{class: {ratio: geometric mean}}, of those rows that have it."""
    result = {}
    for group in [*CLASSES, "all"]:
        members = [row for row in rows if group in (row.workload.group, "all")]
        by_ratio = {name: [ratio for row in members if (ratio := getattr(row, name)) is not None]
                    for name in ("speed_up", "slowdown")}
        result[group] = {name: mean(ratios) if ratios else None for name, ratios in by_ratio.items()}
    return result


def number(value):
    return "-" if value is None else f"{value:.2f}"


def print_rows(rows, names):
    print(f"{'program':<10}{'class':<9}" + "".join(f"{name + ' s':>11}" for name in names)
          + f"{'tcg/banyan':>13}{'banyan/native':>15}")
    for row in rows:
        cells = "".join(f"{'failed' if name in row.problems else number(row.seconds.get(name)):>11}" for name in names)
        differ = "  results differ" if "results differ" in row.problems else ""
        print(f"{row.workload.name:<10}{row.workload.group:<9}{cells}{number(row.speed_up):>13}{number(row.slowdown):>15}{differ}")


def print_means(rows):
    print(f"\n{'geometric mean':<52}{'tcg/banyan':>13}{'banyan/native':>15}")
    for group, values in means_of(rows).items():
        if any(values.values()):
            print(f"{CLASSES.get(group, group):<52}{number(values['speed_up']):>13}{number(values['slowdown']):>15}")


def print_bars(rows, is_whole):
    print(f"\n{'bar' + ('' if is_whole else ' (of a part of the suite only)'):<52}{'wanted':>13}{'is':>15}")
    for bar in BARS:
        value, verdict = judge(bar, rows)
        wanted = f"{'>=' if bar.at_least else '<='} {bar.bound:g}"
        print(f"{bar.title:<52}{wanted:>13}{number(value):>15}  {verdict}")


def print_all(rows, names, is_whole):
    print_rows(rows, names)
    print_means(rows)
    print_bars(rows, is_whole)
    for row in rows:
        for where, problem in row.problems.items():
            say(f"suite: {row.workload.name}: {where}: {problem}")


def row_as_json(row):
    return {
        "class": row.workload.group,
        "size": row.workload.size,
        "seconds": row.seconds,
        "all_seconds": row.runs,
        "tcg_to_banyan": row.speed_up,
        "banyan_to_native": row.slowdown,
        "problems": row.problems,
    }


def bar_as_json(bar, rows):
    value, verdict = judge(bar, rows)
    return {"title": bar.title, "bound": bar.bound, "at_least": bar.at_least, "value": value, "verdict": verdict}


def as_json(rows):
    return {
        "workloads": {row.workload.name: row_as_json(row) for row in rows},
        "means": means_of(rows),
        "bars": [bar_as_json(bar, rows) for bar in BARS],
    }
