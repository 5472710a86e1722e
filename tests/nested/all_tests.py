#!/usr/bin/env python3
"""All of KVM's tests in one shell: all_tests.py DIRECTORY. What each file of them says goes to DIRECTORY/NAME.log, and how it
ended to NAME.status, for result.py. The status is 0 when all have been run, whatever they found: ctest tells that test by test."""

import contextlib
import io
import sys
import time
import unittest
from pathlib import Path

from rig import SKIPPED, close_shell, report, why_not

NAMES = ("boot", "lifecycle", "bare", "gdb", "view")


def run(name, directory):
    log = io.StringIO()
    start = time.monotonic()
    with contextlib.redirect_stderr(log):
        tests = unittest.defaultTestLoader.loadTestsFromName(f"{name}_test")
        result = unittest.TextTestRunner(stream=log, verbosity=2).run(tests)
    good = result.wasSuccessful() and result.testsRun > 0
    report(f"{name}: {'passed' if good else 'FAILED'} in {time.monotonic() - start:.1f} s")
    (directory / f"{name}.log").write_text(log.getvalue())
    (directory / f"{name}.status").write_text("0" if good else "1")


def main():
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.iterdir():
        old.unlink()
    reason = why_not()
    if reason:
        report(reason)
        for name in NAMES:
            (directory / f"{name}.log").write_text(reason)
            (directory / f"{name}.status").write_text(str(SKIPPED))
        return
    for name in NAMES:  # before the shell is opened, which gets the files of all
        __import__(f"{name}_test")
    try:
        for name in NAMES:
            run(name, directory)
    finally:
        close_shell()


if __name__ == "__main__":
    main()
