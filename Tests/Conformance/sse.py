"""The bytes of HTTP answers and event streams, read without any client library in between."""

import json
import socket


class Event:
    """One event of a stream: the data of a `data:` line, or a comment."""

    def __init__(self, line):
        assert b"\r" not in line and b"\n" not in line, f"an event is one line: {line!r}"
        text = line.decode("utf-8", errors="strict")
        self.is_comment = text.startswith(": ")
        assert self.is_comment or text.startswith("data: "), f"neither data nor comment: {text!r}"
        self.text = text[2:] if self.is_comment else text[6:]

    @property
    def json(self):
        return json.loads(self.text, parse_constant=lambda word: refuse(f"{word} is no JSON"))

    @property
    def is_error(self):
        return not self.is_comment and self.text != "[DONE]" and "error" in self.json


def refuse(reason):
    raise AssertionError(reason)


def events(body):
    """Splits the bytes of a stream into its events; the stream must end with a whole one."""
    assert body.endswith(b"\n\n"), f"the stream ends in the middle of an event: {body[-200:]!r}"
    return [Event(line) for line in body[:-2].split(b"\n\n")]


class RawConnection:
    """HTTP/1.1 over a plain socket."""

    def __init__(self, node, seconds=60):
        self.socket = socket.create_connection((node.host, node.port), timeout=seconds)
        self.host = f"{node.host}:{node.port}"
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, method, path, body=None, headers=()):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}", *headers]
        content = b""
        if body is not None:
            content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
            lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + content)
        return self

    def read_until(self, end):
        """The bytes up to and with `end`."""
        while end not in self.buffer:
            self.fill()
        position = self.buffer.index(end) + len(end)
        found, self.buffer = self.buffer[:position], self.buffer[position:]
        return found

    def read_exactly(self, count):
        while len(self.buffer) < count:
            self.fill()
        found, self.buffer = self.buffer[:count], self.buffer[count:]
        return found

    def fill(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError(f"the server closed the connection behind {self.buffer[-200:]!r}")
        self.buffer += piece

    def head(self):
        """(status, headers) of the next answer; names in lower case, each at most once."""
        lines = self.read_until(b"\r\n\r\n").decode("ascii").split("\r\n")
        version, status = lines[0].split(" ")[:2]
        assert version == "HTTP/1.1"
        headers = {}
        for line in lines[1:-2]:
            name, value = line.split(":", 1)
            assert name.lower() not in headers, f"{name} comes twice"
            headers[name.lower()] = value.strip()
        return int(status), headers

    def chunks(self):
        """The chunks of a body in chunked encoding, each as it was sent."""
        while True:
            size = int(self.read_until(b"\r\n").strip(), 16)
            chunk = self.read_exactly(size)
            assert self.read_exactly(2) == b"\r\n"
            if size == 0:
                return
            yield chunk

    def answer(self):
        """(status, headers, body) of the next answer."""
        status, headers = self.head()
        if headers.get("transfer-encoding") == "chunked":
            return status, headers, b"".join(self.chunks())
        return status, headers, self.read_exactly(int(headers["content-length"]))


def post(node, body, path="/v1/chat/completions"):
    """(status, headers, body) of a POST on a connection of its own."""
    with RawConnection(node) as connection:
        return connection.send("POST", path, body).answer()
