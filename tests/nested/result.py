#!/usr/bin/env python3
"""How one file of KVM's tests ended in the run of all_tests.py: result.py DIRECTORY NAME; its log, and its status."""

import sys
from pathlib import Path

directory, name = Path(sys.argv[1]), sys.argv[2]
print((directory / f"{name}.log").read_text())
sys.exit(int((directory / f"{name}.status").read_text()))
