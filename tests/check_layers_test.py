#!/usr/bin/env python3
"""The layer check must itself see what it is there for."""

import pathlib
import tempfile
import unittest

import check_layers


class CheckLayers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.source = pathlib.Path(folder.name)
        self.write("support/CMakeLists.txt", "banyan_room(support FREESTANDING)")
        self.write("support/bits.hpp", "#include <cstdint>\n")
        self.write("vm/CMakeLists.txt", "banyan_room(vm FREESTANDING DEPS banyan_support)")
        self.write("vm/clock.hpp", '#include "support/bits.hpp"\n')

    def write(self, path, text):
        file = self.source / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def test_passes_what_runs_down(self):
        self.assertEqual(check_layers.check(self.source), [])

    def test_sees_an_arrow_that_runs_up(self):
        self.write("support/bits.hpp", '#include "vm/clock.hpp"\n')
        self.assertEqual(len(check_layers.check(self.source)), 1)

    def test_sees_devices_that_include_an_engine_or_each_other(self):
        self.write("devices/serial/CMakeLists.txt", "banyan_room(devices_serial DEPS banyan_vm banyan_cpu_interp)")
        self.write("cpu/interp/CMakeLists.txt", "banyan_room(cpu_interp DEPS banyan_vm)")
        self.write("cpu/interp/interp.hpp", "")
        self.write("devices/chipset/pic.hpp", "")
        self.write("devices/serial/uart.cpp", '#include "cpu/interp/interp.hpp"\n#include "devices/chipset/pic.hpp"\n')
        self.assertEqual(len(check_layers.check(self.source)), 2)

    def test_sees_a_library_that_is_not_linked(self):
        self.write("vm/CMakeLists.txt", "banyan_room(vm FREESTANDING)")
        problems = check_layers.check(self.source)
        self.assertEqual(len(problems), 1)
        self.assertIn("DEPS", problems[0])

    def test_follows_links_of_links(self):
        self.write("loader/CMakeLists.txt", "banyan_room(loader DEPS banyan_vm)")
        self.write("loader/loader.cpp", '#include "support/bits.hpp"\n')
        self.assertEqual(check_layers.check(self.source), [])

    def test_sees_paths_that_do_not_start_at_the_source(self):
        self.write("vm/clock.cpp", '#include "clock.hpp"\n')
        self.assertEqual(len(check_layers.check(self.source)), 1)

    def test_sees_a_folder_without_a_layer(self):
        self.write("misc/things.hpp", "")
        self.assertEqual(len(check_layers.check(self.source)), 1)

    def test_lets_tests_use_helpers_but_not_code(self):
        self.write("vm/testing/fakes.hpp", "")
        helper = '#include "vm/testing/fakes.hpp"\n'
        self.write("devices/serial/CMakeLists.txt", "banyan_room(devices_serial)")
        self.write("devices/serial/uart_test.cpp", helper)
        self.assertEqual(check_layers.check(self.source), [])
        self.write("devices/serial/uart.cpp", helper)
        self.assertEqual(len(check_layers.check(self.source)), 1)

    def test_fails_when_it_finds_nothing(self):
        with tempfile.TemporaryDirectory() as empty:
            self.assertNotEqual(check_layers.check(pathlib.Path(empty)), [])


if __name__ == "__main__":
    unittest.main()
