"""A VNC client of the smallest kind (RFC 6143): raw pictures, keys. Standard library only."""

import socket
import struct

from picture import Picture


class Refused(Exception):
    pass


class RfbClient:
    def __init__(self, address, seconds=60):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=seconds)
        version = self.read(12)
        assert version == b"RFB 003.008\n", version
        self.socket.sendall(version)
        self.security = list(self.read(self.read(1)[0]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def read(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise Refused("the server has gone")
            data += more
        return data

    def start(self, security=1, answer=b""):
        """Security type 1 is none, 2 a challenge of 16 bytes that `answer` answers."""
        self.socket.sendall(bytes([security]))
        if security == 2:
            self.read(16)
            self.socket.sendall(answer)
        if struct.unpack(">I", self.read(4))[0] != 0:
            raise Refused("the server does not let us in")
        self.socket.sendall(b"\x01")
        self.width, self.height, form, name = struct.unpack(">HH16sI", self.read(24))
        self.name = self.read(name).decode()
        # 32 bits, little-endian, red in the lowest byte; raw, and told when the size changes.
        self.socket.sendall(struct.pack(">BxxxBBBBHHHBBBxxx", 0, 32, 24, 0, 1, 255, 255, 255, 0, 8, 16))
        self.socket.sendall(struct.pack(">BxHii", 2, 2, 0, -223))
        self.rows = [[(0, 0, 0)] * self.width for _ in range(self.height)]
        return self

    def picture(self, incremental=False):
        self.socket.sendall(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))
        self.take_update()
        return Picture(self.width, self.height, self.rows)

    def take_update(self):
        kind = self.read(1)[0]
        assert kind == 0, f"message {kind}"
        count = struct.unpack(">xH", self.read(3))[0]
        for _ in range(count):
            x, y, width, height, encoding = struct.unpack(">HHHHi", self.read(12))
            if encoding == -223:
                self.width, self.height = width, height
                self.rows = [[(0, 0, 0)] * width for _ in range(height)]
                continue
            assert encoding == 0, f"encoding {encoding}"
            data = self.read(4 * width * height)
            for line in range(height):
                row = data[4 * width * line:4 * width * (line + 1)]
                self.rows[y + line][x:x + width] = [tuple(row[i:i + 3]) for i in range(0, 4 * width, 4)]

    def key(self, symbol, down):
        self.socket.sendall(struct.pack(">BBxxI", 4, down, symbol))

    def type(self, text):
        for character in text:
            shifted = character.isupper() or character in '~!@#$%^&*()_+{}|:"<>?'
            symbol = 0xFF0D if character == "\n" else ord(character)
            strokes = [(symbol, 1), (symbol, 0)]
            if shifted:
                strokes = [(0xFFE1, 1), *strokes, (0xFFE1, 0)]
            for stroke in strokes:
                self.key(*stroke)

    def pointer(self, x, y, buttons=0):
        self.socket.sendall(struct.pack(">BBHH", 5, buttons, x, y))
