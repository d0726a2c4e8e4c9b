"""What a node takes of connections and heads, and that it goes on when a client takes more."""

import contextlib
import resource
import socket

import pytest

from node import wait_until
from sse import RawConnection

#: `ConnectionLimits.connections` of the gateway.
CONNECTIONS = 1024


def status_of(node):
    with RawConnection(node) as connection:
        status, _, body = connection.send("GET", "/v1/models", None).answer()
    return status, body


def test_more_connections_than_are_answered_get_503(own_node):
    node = own_node("--threads", 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * CONNECTIONS:
        pytest.skip(f"only {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * CONNECTIONS), hard))
    try:
        with contextlib.ExitStack() as held:
            for _ in range(CONNECTIONS):
                held.enter_context(socket.create_connection((node.host, node.port), timeout=10))
            wait_until(lambda: status_of(node)[0] == 503, 10, "the refusal of one connection too many")
            assert b"too_many_connections" in status_of(node)[1]
        wait_until(lambda: status_of(node)[0] == 200, 10, "an answer after the others left")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("head", [
    "X-Filler: " + "x" * (17 << 10) + "\r\n", "".join(f"X-{n}: x\r\n" for n in range(200)),
    "".join(f"X-{n}: {'x' * 1000}\r\n" for n in range(100)),
], ids=["one-field", "many-fields", "many-bytes"])
def test_a_head_beyond_the_limits_is_answered_with_431(served, head):
    with RawConnection(served(1)) as connection:
        connection.socket.sendall(f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
        status, headers, body = connection.answer()
    assert status == 431 and b"headers_too_large" in body
    assert status_of(served(1))[0] == 200
