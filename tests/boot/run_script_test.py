#!/usr/bin/env python3
"""scripts/run.sh, which "make run" calls: without a terminal it shows the shell's prompt and ends."""

import os
import re
import subprocess
import unittest

from harness import BOOT_SECONDS, PROMPT, ROOT, SLOW, guest_file, vmm_path


def run_script(stdin, **environment):
    guests = os.path.dirname(os.path.dirname(guest_file("shell/initramfs")))
    variables = dict(os.environ, BANYAN_GUESTS=guests, **environment)
    if "BANYAN_ENGINE" in os.environ:
        variables["ENGINE"] = os.environ["BANYAN_ENGINE"]
    command = ["timeout", str(int((BOOT_SECONDS + 60) * SLOW)), str(ROOT / "scripts/run.sh"), str(vmm_path())]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, errors="replace", env=variables)


class RunScriptTest(unittest.TestCase):
    def test_without_input_it_shows_the_prompt_and_ends(self):
        result = run_script("")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(re.search(PROMPT, result.stdout), result.stdout[-2000:])
        self.assertIn("Power down", result.stdout)
        self.assertEqual([line for line in result.stderr.splitlines() if not line.startswith("banyan: ")], [])

    def test_a_guest_that_is_not_known_is_wrong_usage(self):
        result = run_script("", GUEST="nosuch")
        self.assertEqual(result.returncode, 2)
        self.assertRegex(result.stderr, r"^banyan: .*nosuch.*\n$")

    def test_a_missing_program_is_one_clear_line(self):
        result = subprocess.run([str(ROOT / "scripts/run.sh"), "/nonexistent/banyan"], capture_output=True, text=True)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr, "banyan: cannot run /nonexistent/banyan: no such program; build it with 'make'\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
