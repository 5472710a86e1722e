#!/usr/bin/env python3
"""Images made by qemu-img and read by Banyan, and the other way round; the image commands from outside.

Where the programs are stands in the environment, which tests/images/CMakeLists.txt sets: BANYAN_VMM, BANYAN_IMAGE_IO,
BANYAN_POWER_CUT. qemu-img and qemu-io come from Debian's qemu-utils.
"""

import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

K, M = 1 << 10, 1 << 20
DIRTY = 1  # incompatible feature


def run(*command, status=0, **options):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace",
                            stdin=subprocess.DEVNULL, timeout=60, **options)
    if status is not None and result.returncode != status:
        raise AssertionError(f"{command} ended with {result.returncode}:\n{result.stdout}{result.stderr}")
    return result


def banyan(*arguments, **options):
    return run(os.environ["BANYAN_VMM"], "image", *arguments, **options)


def image_io(file, *steps):
    run(os.environ["BANYAN_IMAGE_IO"], file, *steps)


def qemu_io(file, *steps, status=0):
    commands = [word for step in steps for word in ("-c", step)]
    run("qemu-io", "-f", "qcow2", *commands, file, status=status)


def is_dirty(file):
    with open(file, "rb") as image:
        version, = struct.unpack(">I", image.read(8)[4:])
        image.seek(72)
        return version > 2 and struct.unpack(">Q", image.read(8))[0] & DIRTY != 0


def quick_folder():
    """Memory, where there is enough: the programs flush again and again, and it is not the disk that is tested."""
    shared = Path("/dev/shm")
    return shared if shared.is_dir() and shutil.disk_usage(shared).free > 512 * M else None


class ImageTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(dir=quick_folder())
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def at(self, name):
        return self.directory / name

    def qemu_create(self, name, size, *options):
        run("qemu-img", "create", "-q", "-f", "qcow2", *options, self.at(name), *([size] if size else []))
        return self.at(name)

    def raw_of(self, image, name="expected.raw"):
        run("qemu-img", "convert", "-O", "raw", image, self.at(name))
        return self.at(name)

    def check(self, image):
        """Both find nothing wrong, and nothing wasted."""
        run("qemu-img", "check", "-q", image)
        self.assertIn("0 errors, 0 clusters wasted", banyan("check", image).stdout)

    def same(self, one, other):
        run("qemu-img", "compare", "-q", one, other)


class MadeByQemu(ImageTest):
    STEPS = ("write -P 1 0 100k", "write -P 2 1M 300k", "write -z 64k 64k", "write -P 3 1500k 512",
             "write -z 1100k 64k", "discard 1200k 64k", "write -P 4 3M 2M", "write -P 5 7679k 1k")

    def read(self, image):
        banyan("convert", image, self.at("read.raw"), "--force")
        self.assertTrue(self.at("read.raw").read_bytes() == self.raw_of(image).read_bytes(), "it reads otherwise")

    def test_all_options(self):
        cases = [f"compat=0.10,cluster_size={size}" for size in (512, 4096, 65536, 2 * M)]
        cases += [f"cluster_size={size}" for size in (512, 1024, 8192, 65536, 2 * M)]
        cases += [f"refcount_bits={bits}" for bits in (1, 2, 4, 8, 32, 64)]
        cases += ["lazy_refcounts=on", "compression_type=zstd", "preallocation=metadata", "preallocation=falloc",
                  "cluster_size=512,refcount_bits=64", "cluster_size=512,preallocation=metadata"]
        for options in cases:
            with self.subTest(options):
                image = self.qemu_create("image.qcow2", "7680k", "-o", options)
                qemu_io(image, *self.STEPS)
                self.read(image)
                self.assertIn("0 errors", banyan("check", image).stdout)
                image_io(image, f"write:{90 * K}:{40 * K}:7", f"zeroes:{1100 * K}:{33 * K}",
                         f"discard:{3 * M}:{M}", "flush", f"write:{3 * M + 512}:{100 * K}:8")
                self.check(image)
                self.read(image)

    def test_compressed_clusters(self):
        for options in ("compression_type=zlib", "compression_type=zstd", "cluster_size=4k", "cluster_size=2M"):
            with self.subTest(options):
                image = self.qemu_create("image.qcow2", "8M", "-o", options)
                size = "2M" if "2M" in options else "64k"
                qemu_io(image, f"write -c -P 9 0 {size}", f"write -c -P 10 2M {size}", f"write -c -P 11 4M {size}")
                self.read(image)
                image_io(image, f"write:{2 * M + 1024}:{2 * K}:1")
                self.check(image)
                self.read(image)

    def test_backing_chains(self):
        base = self.at("base.raw")
        base.write_bytes(os.urandom(3 * M - 5 * K))
        middle = self.qemu_create("middle.qcow2", "4M", "-b", "base.raw", "-F", "raw")
        qemu_io(middle, "write -P 1 1M 100k", "write -z 2M 200k")
        for size in ("1M", "6M"):
            with self.subTest(size):
                top = self.qemu_create("top.qcow2", size, "-b", "middle.qcow2", "-F", "qcow2")
                qemu_io(top, "write -P 2 512k 70k")
                self.read(top)
                image_io(top, f"write:{900 * K}:{3 * K}:5", f"zeroes:{100 * K}:{130 * K}", f"discard:{300 * K}:{200 * K}")
                self.check(top)
                self.read(top)

    def test_snapshots_stay_as_they_were(self):
        image = self.qemu_create("image.qcow2", "4M")
        qemu_io(image, "write -P 1 0 1M", "write -c -P 2 1M 64k")
        run("qemu-img", "snapshot", "-c", "first", image)
        before = self.raw_of(image).read_bytes()
        image_io(image, f"write:{10 * K}:{100 * K}:7", f"discard:{512 * K}:{256 * K}", f"write:{M}:{K}:8", f"write:{3 * M}:512:9")
        self.check(image)
        self.read(image)
        self.assertEqual(json.loads(banyan("info", "--json", image).stdout)["snapshots"], [{"id": "1", "name": "first"}])
        run("qemu-img", "snapshot", "-a", "first", image)
        self.assertTrue(self.raw_of(image).read_bytes() == before, "the snapshot has changed")
        self.check(image)

    def test_an_image_that_was_not_closed(self):
        image = self.qemu_create("image.qcow2", "4M", "-o", "lazy_refcounts=on")
        qemu_io(image, "write -P 1 0 1M", "flush", "abort", status=None)
        self.assertTrue(is_dirty(image))
        self.read(image)
        image_io(image, f"write:{M}:{M}:2")
        self.assertFalse(is_dirty(image))
        self.check(image)
        self.read(image)

    def test_what_is_not_supported_is_named(self):
        # Not luks: to choose its number of rounds qemu-img measures its own processor time, and gives up on a host that counts
        # that coarsely ("Unable to get accurate CPU usage").
        encrypted = ["--object", "secret,id=s,data=x", "-o", "encrypt.format=aes,encrypt.key-secret=s"]
        for options, word in ((["-o", f"data_file={self.at('data')}"], "external data file"),
                              (["-o", "extended_l2=on"], "extended L2 entries"), (encrypted, "encryption")):
            with self.subTest(word):
                image = self.qemu_create("image.qcow2", "1M", *options)
                self.assertIn(word, banyan("info", image, status=1).stderr)
                image.unlink()


class MadeByBanyan(ImageTest):
    def test_qemu_finds_them_right(self):
        for options in ([], ["--cluster-size", "512"], ["--cluster-size", "2M"], ["--lazy-refcounts"]):
            with self.subTest(options):
                image = self.at("image.qcow2")
                banyan("create", "--force", image, "6M", *options)
                plain = self.at("plain.raw")
                banyan("create", "--force", plain, "6M")
                steps = [f"write:{K}:{200 * K}:1", f"write:{3 * M}:{M}:2", f"zeroes:{3 * M + 512}:{70 * K}", "flush",
                         f"write:{6 * M - 512}:512:3", f"zeroes:{10 * K}:{100 * K}"]
                image_io(image, *steps)
                image_io(plain, *steps)
                self.check(image)
                self.same(image, plain)

    def test_overlays(self):
        base = self.at("base.raw")
        base.write_bytes(os.urandom(2 * M))
        banyan("create", "-b", "base.raw", "-F", "raw", self.at("over.qcow2"))
        info = json.loads(run("qemu-img", "info", "--output=json", self.at("over.qcow2")).stdout)
        self.assertEqual((info["virtual-size"], info["backing-filename-format"]), (2 * M, "raw"))
        before = base.read_bytes()
        image_io(self.at("over.qcow2"), f"write:{M}:{100 * K}:1", f"discard:0:{128 * K}")
        self.check(self.at("over.qcow2"))
        self.assertTrue(base.read_bytes() == before, "the base has changed")
        banyan("convert", self.at("over.qcow2"), self.at("flat.qcow2"))
        self.check(self.at("flat.qcow2"))
        self.same(self.at("over.qcow2"), self.at("flat.qcow2"))

    def test_conversions(self):
        source = self.at("source.raw")
        with source.open("wb") as file:
            for at in (0, 70 * K, 3 * M, 9 * M - 512):
                file.seek(at)
                file.write(os.urandom(512) + b"text " * 3000 if at < 9 * M - 512 else b"x" * 512)
        for number, options in enumerate(([], ["-c"], ["--cluster-size", "512"], ["-c", "--cluster-size", "2M"],
                                          ["-c", "--cluster-size", "512"], ["-O", "raw"])):
            with self.subTest(options):
                copy = self.at(f"copy{number}")
                banyan("convert", source, copy, *options)
                self.same(source, copy)
                if "raw" not in options:
                    self.check(copy)
                if "2M" not in options:
                    self.assertLess(copy.stat().st_blocks * 512, M, "zeroes were written")

    def test_resize(self):
        for name, options in (("a.qcow2", []), ("b.qcow2", ["--cluster-size", "512"]), ("c.raw", [])):
            with self.subTest(name):
                banyan("create", self.at(name), "1M", *options)
                image_io(self.at(name), f"write:{512 * K}:{512 * K}:5")
                banyan("resize", self.at(name), "+63M")
                banyan("resize", self.at(name), "128M")
                image_io(self.at(name), f"write:{127 * M}:{M}:6")
                self.assertEqual(json.loads(banyan("info", "--json", self.at(name)).stdout)["size"], 128 * M)
                self.assertIn("a smaller size", banyan("resize", self.at(name), "1M", status=1).stderr)
                if name != "c.raw":
                    self.check(self.at(name))
        self.same(self.at("a.qcow2"), self.at("c.raw"))
        self.same(self.at("b.qcow2"), self.at("c.raw"))

    def test_a_base_does_not_come_into_view_again(self):
        self.at("base.raw").write_bytes(b"x" * (4 * M))
        banyan("create", "-b", "base.raw", self.at("over.qcow2"), "1000K")
        banyan("resize", self.at("over.qcow2"), "3M")
        self.check(self.at("over.qcow2"))
        self.assertEqual(self.raw_of(self.at("over.qcow2")).read_bytes(), b"x" * (1000 * K) + bytes(3 * M - 1000 * K))

    def test_a_process_that_dies(self):
        """What was flushed is there, also for QEMU, which mends the image."""
        image = self.at("image.qcow2")
        banyan("create", image, "4M", "--lazy-refcounts")
        image_io(image, f"write:0:{M}:1", "flush", f"write:{M}:{M}:2", "abandon")
        self.assertTrue(is_dirty(image))
        run("qemu-img", "check", "-q", "-r", "all", image)
        self.assertEqual(self.raw_of(image).read_bytes()[:M], b"\1" * M)

    def test_repair_frees_what_is_wasted(self):
        image = self.at("image.qcow2")
        banyan("create", image, "4M")
        image_io(image, f"write:0:{M}:1", "flush", f"discard:0:{M}", "flush", "abandon")
        self.assertNotIn(" 0 clusters wasted", banyan("check", image).stdout)
        banyan("check", "--repair", image)
        self.check(image)

    def test_after_power_cuts(self):
        samples = self.at("samples")
        samples.mkdir()
        run(os.environ["BANYAN_POWER_CUT"], "--operations", "2000", "--seed", "7", "--samples", samples)
        images = sorted(samples.glob("*.qcow2"))
        self.assertGreater(len(images), 7)
        for image in images:
            with self.subTest(image.name):
                if is_dirty(image):
                    run("qemu-img", "check", "-q", "-r", "all", image)
                self.assertIn(run("qemu-img", "check", "-q", image, status=None).returncode, (0, 3), "3: leaks only")

FOREIGN = {
    "sparse.vmdk": ("vmdk", "subformat=monolithicSparse"),
    "stream.vmdk": ("vmdk", "subformat=streamOptimized"),
    "flat.vmdk": ("vmdk", "subformat=monolithicFlat"),
    "several.vmdk": ("vmdk", "subformat=twoGbMaxExtentFlat"),
    "dynamic.vdi": ("vdi", "static=off"),
    "fixed.vdi": ("vdi", "static=on"),
    "dynamic.vhd": ("vpc", "subformat=dynamic,force_size=on"),
    "fixed.vhd": ("vpc", "subformat=fixed,force_size=on"),
    "geometry.vhd": ("vpc", "subformat=dynamic"),
    "dynamic.vhdx": ("vhdx", "subformat=dynamic"),
    "fixed.vhdx": ("vhdx", "subformat=fixed"),
    "small.vhdx": ("vhdx", "subformat=dynamic,block_size=1M"),
}


class Foreign(ImageTest):
    """Formats that are only read, as qemu-img writes them."""

    def setUp(self):
        super().setUp()
        self.source = self.at("source.raw")
        with self.source.open("wb") as file:
            file.truncate(23 * M)
            for number, length in enumerate((1, 4096, 65536, 100_000, 3 * M)):
                file.seek(number * 4 * M + 12345)
                file.write(os.urandom(length))
            file.seek(23 * M - 512)
            file.write(os.urandom(512))

    def test_reads_what_qemu_writes(self):
        content = self.source.read_bytes()
        for name, (qemu_format, options) in FOREIGN.items():
            with self.subTest(name):
                image = self.at(name)
                run("qemu-img", "convert", "-f", "raw", "-O", qemu_format, "-o", options, self.source, image)
                info = json.loads(banyan("info", "--json", image).stdout)
                self.assertEqual(info["format"], image.suffix[1:])
                copy = self.at(name + ".raw")
                before = image.read_bytes()
                banyan("convert", image, copy)
                # A disk of whole cylinders is larger.
                self.assertEqual(copy.read_bytes()[:len(content)], content)
                self.assertEqual(copy.stat().st_size, info["size"])
                expected = json.loads(run("qemu-img", "info", "--output=json", "-f", qemu_format, image).stdout)
                self.assertEqual(info["size"], expected["virtual-size"])
                self.assertEqual(image.read_bytes(), before)

    def test_is_not_written_and_not_guessed(self):
        image = self.at("a.vdi")
        run("qemu-img", "convert", "-f", "raw", "-O", "vdi", self.source, image)
        self.assertIn("are only read", banyan("resize", image, "+1M", status=1).stderr)
        self.assertIn("are only read", banyan("create", self.at("b.vmdk"), "1M", status=1).stderr)
        self.assertIn("must be raw or qcow2", banyan("create", "-b", image, self.at("over.qcow2"), status=1).stderr)
        other = self.at("a.img")
        other.write_bytes(image.read_bytes())
        self.assertEqual(json.loads(banyan("info", "--json", other).stdout)["format"], "raw")
        banyan("convert", "-f", "vdi", other, self.at("copy.raw"))
        self.assertEqual(self.at("copy.raw").read_bytes(), self.source.read_bytes())

    def test_refuses_what_stands_on_another(self):
        for name, qemu_format in (("base.vmdk", "vmdk"),):
            base = self.at(name)
            run("qemu-img", "convert", "-f", "raw", "-O", qemu_format, self.source, base)
            overlay = self.at("over." + qemu_format)
            run("qemu-img", "create", "-q", "-f", qemu_format, "-b", base, "-F", qemu_format, overlay)
            self.assertIn("differs from another image", banyan("info", overlay, status=1).stderr)

    def test_reads_a_server(self):
        socket = self.at("nbd.sock")
        server = subprocess.Popen(["qemu-nbd", "-f", "raw", "-r", "-k", socket, "-x", "disk", "-t", self.source],
                                  stdin=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            while not socket.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            uri = f"nbd+unix:///disk?socket={socket}"
            self.assertEqual(json.loads(banyan("info", "--json", uri).stdout)["size"], 23 * M)
            banyan("convert", uri, self.at("copy.raw"))
            self.assertEqual(self.at("copy.raw").read_bytes(), self.source.read_bytes())
            self.assertIn("are only read", banyan("resize", uri, "+1M", status=1).stderr)
        finally:
            server.terminate()
            server.wait()
        self.assertIn("check its name", banyan("info", uri, status=1).stderr)


class Locks(ImageTest):
    """An image that one uses is refused by the other, unless both read."""

    BUSY = "another VM or program uses it"

    def qemu(self, image, image_format, read_only=False):
        """QEMU with a VM that never starts."""
        drive = f"file={image},format={image_format},if=virtio,read-only={'on' if read_only else 'off'}"
        return subprocess.Popen(["qemu-system-x86_64", "-S", "-accel", "tcg", "-m", "16M", "-nodefaults", "-display", "none",
                                 "-drive", drive, "-monitor", "stdio"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def while_qemu_has(self, image, image_format, read_only, check):
        with self.qemu(image, image_format, read_only) as process:
            try:
                # Its monitor talks before its disks are there, and answers after that.
                process.stdin.write("info status\n")
                process.stdin.flush()
                while "VM status" not in (line := process.stdout.readline()):
                    self.assertTrue(line, "it did not start")
                check()
            finally:
                process.communicate("quit\n", timeout=60)

    def test_a_running_qemu_is_refused(self):
        for image_format in ("raw", "qcow2"):
            image = self.at("image." + image_format)
            banyan("create", image, "4M", "-f", image_format)

            def none_may():
                self.assertIn(self.BUSY, banyan("resize", image, "+1M", status=1).stderr)
                self.assertIn(self.BUSY, banyan("info", image, status=1).stderr)

            def readers_may():
                self.assertIn(self.BUSY, banyan("resize", image, "+1M", status=1).stderr)
                banyan("info", image)

            with self.subTest(f"{image_format}, writing"):
                self.while_qemu_has(image, image_format, False, none_may)
            with self.subTest(f"{image_format}, reading"):
                self.while_qemu_has(image, image_format, True, readers_may)
            banyan("resize", image, "+1M")

    def test_qemu_is_refused(self):
        for image_format in ("raw", "qcow2"):
            with self.subTest(image_format):
                image = self.at("image." + image_format)
                banyan("create", image, "4M", "-f", image_format)
                holder = subprocess.Popen([os.environ["BANYAN_IMAGE_IO"], image, "wait"], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, text=True)
                try:
                    self.assertEqual(holder.stdout.readline(), "open\n")
                    for read_only in (False, True):
                        with self.qemu(image, image_format, read_only) as process:
                            _, errors = process.communicate("quit\n", timeout=60)
                            self.assertNotEqual(process.returncode, 0)
                            self.assertIn("lock", errors)
                    run("qemu-img", "info", "-U", "-f", image_format, image)
                finally:
                    holder.communicate("\n", timeout=60)
                self.assertEqual(holder.returncode, 0)
                run("qemu-io", "-f", image_format, "-c", "write 0 4096", image)


class Commands(ImageTest):
    def refused(self, status, *arguments, **options):
        """One line that says what, why and what to do, and no file is left or changed."""
        before = {path: path.read_bytes() for path in self.directory.iterdir()}
        result = banyan(*arguments, status=status, **options)
        self.assertEqual(result.stdout, "")
        self.assertRegex(result.stderr, r"\Abanyan: [^\n:]+: [^\n]+; [^\n]+\n\Z")
        self.assertEqual({path: path.read_bytes() for path in self.directory.iterdir()}, before)
        return result.stderr

    def test_errors(self):
        there = self.at("there.raw")
        there.write_bytes(bytes(M))
        cut = self.at("cut.qcow2")
        cut.write_bytes(b"QFI\xfb" + bytes(100))
        new = self.at("new.qcow2")
        cases = {
            "no size": ("create", new),
            "a size of nothing": ("create", new, "0"),
            "a size that is no sector": ("create", new, "1000"),
            "a file that is there": ("create", there, "1M"),
            "no such folder": ("create", self.at("none") / "new.qcow2", "1M"),
            "clusters too large": ("create", new, "1M", "--cluster-size", "4M"),
            "too large for its clusters": ("create", new, "1T", "--cluster-size", "512"),
            "no such base": ("create", new, "-b", "none"),
            "a raw overlay": ("create", self.at("new.raw"), "-b", "there.raw"),
            "no such image": ("convert", self.at("none"), new),
            "a compressed raw image": ("convert", "-c", there, self.at("new.raw")),
            "a damaged image": ("convert", cut, new),
            "info of one": ("info", cut),
            "check of one": ("check", cut),
            "check of a raw one": ("check", there),
            "resize of none": ("resize", self.at("none"), "1M"),
            "less": ("resize", there, "512K"),
        }
        for name, arguments in cases.items():
            with self.subTest(name):
                self.refused(1, *arguments)

    def test_a_host_without_room(self):
        """A limit on the size of files stands for it."""
        source = self.at("source.raw")
        source.write_bytes(os.urandom(4 * M))
        limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (M, M))}
        for target in ("new.qcow2", "new.raw"):
            with self.subTest(target):
                self.assertIn("File too large", self.refused(1, "convert", source, self.at(target), **limit))

    def test_an_interrupted_conversion_leaves_nothing(self):
        source = self.at("source.raw")
        with source.open("wb") as file:
            for _ in range(64):
                file.write(os.urandom(M))
        target = self.at("new.qcow2")
        process = subprocess.Popen([os.environ["BANYAN_VMM"], "image", "convert", "-c", source, target],
                                   stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 30
        while not list(self.directory.glob("*.partial")) and time.monotonic() < deadline:
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 4, errors)
        self.assertIn("SIGINT came; nothing is left", errors)
        self.assertEqual(list(self.directory.iterdir()), [source])

    def test_info_for_people_and_programs(self):
        banyan("create", self.at("base.img"), "1M")
        banyan("create", "-b", "base.img", self.at("over.qcow2"))
        info = json.loads(banyan("info", "--json", self.at("over.qcow2")).stdout)
        self.assertEqual(info["backing"], {"file": "base.img", "format": "raw", "path": str(self.at("base.img"))})
        self.assertEqual((info["format"], info["size"], info["dirty"]), ("qcow2", M, False))
        self.assertIn("stands on   base.img (raw)", banyan("info", self.at("over.qcow2")).stdout)
        self.assertIn("disk        1M (1048576 bytes)", banyan("info", self.at("base.img")).stdout)


if __name__ == "__main__":
    for tool in ("qemu-img", "qemu-io", "qemu-nbd"):
        if shutil.which(tool) is None:
            raise SystemExit(f"there is no {tool}: install qemu-utils, see scripts/packages.txt")
    unittest.main(verbosity=2)
