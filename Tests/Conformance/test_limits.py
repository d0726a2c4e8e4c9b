"""What a node takes of connections and heads, and that it goes on when a client takes more."""

import contextlib
import resource
import socket

import pytest

from node import MODEL_NAME, wait_until
from sse import RawConnection, post

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


# Bodies: each dialect's routes, at a limit and one beyond it


def turns(count):
    return [{"role": "user" if n % 2 == 0 else "assistant", "content": "x"} for n in range(count)]


BODIES = {
    "/v1/chat/completions": lambda count: {"messages": turns(count), "max_tokens": 1},
    "/v1/responses": lambda count: {"input": turns(count), "max_output_tokens": 1, "store": False},
    "/v1/messages": lambda count: {"messages": turns(count), "max_tokens": 1},
    "/v1/messages/count_tokens": lambda count: {"messages": turns(count)},
    "/api/chat": lambda count: {"messages": turns(count), "options": {"num_predict": 1}, "stream": False},
    "/apply-template": lambda count: {"messages": turns(count)},
}


def tool(path, schema, name="f"):
    """A tool as a route's dialect offers it."""
    if path.startswith("/v1/messages"):
        return {"name": name, "input_schema": schema}
    function = {"name": name, "parameters": schema}
    return {"type": "function"} | (function if path == "/v1/responses" else {"function": function})


def sent(node, path, fields):
    status, _, answer = post(node, {"model": MODEL_NAME} | fields, path)
    return status, answer.decode()


@pytest.mark.parametrize("path", [*BODIES, "/v1/completions", "/v1/embeddings", "/api/generate", "/tokenize"])
def test_json_is_nested_64_deep_and_no_deeper(served, path):
    texts = {"/v1/completions": {"prompt": "a", "max_tokens": 1}, "/v1/embeddings": {"input": "a"},
        "/api/generate": {"prompt": "a", "stream": False, "options": {"num_predict": 1}}, "/tokenize": {"content": "a"}}
    body = texts[path] if path in texts else BODIES[path](1)
    nested = []
    for _ in range(62):
        nested = [nested]
    status, answer = sent(served(1), path, body | {"x": nested})
    assert status == 200, answer
    status, answer = sent(served(1), path, body | {"x": [nested]})
    assert status == 400 and "64" in answer, answer


@pytest.mark.parametrize("path", BODIES)
def test_a_conversation_has_4096_messages_at_most(served, path):
    status, answer = sent(served(1), path, BODIES[path](4097))
    assert status == 400 and "4096" in answer and "4097" in answer, answer


def test_a_conversation_of_4096_messages_is_read(served):
    """It is too long for the window, which is another matter."""
    status, answer = sent(served(1), "/apply-template", BODIES["/apply-template"](4095))
    assert status == 200, answer[:500]


@pytest.mark.parametrize("path", BODIES)
def test_512_tools_are_offered_at_most(served, path):
    tools = [tool(path, {"type": "object"}, f"f{n}") for n in range(513)]
    status, answer = sent(served(1), path, BODIES[path](1) | {"tools": tools})
    assert status == 400 and "512" in answer and "513" in answer, answer


@pytest.mark.parametrize("path", BODIES)
def test_a_schema_has_256_kib_at_most(served, path):
    schema = {"type": "object", "description": "x" * (256 << 10)}
    status, answer = sent(served(1), path, BODIES[path](1) | {"tools": [tool(path, schema)]})
    assert status == 400 and str(256 << 10) in answer, answer


@pytest.mark.parametrize("path", BODIES)
def test_a_body_beyond_32_mib_is_refused_by_its_length_alone(served, path):
    with RawConnection(served(1)) as connection:
        connection.send("POST", path, headers=["Content-Type: application/json", f"Content-Length: {(32 << 20) + 1}"])
        status, _, answer = connection.answer()
    assert status == 413, answer
    assert str(32 << 20) in answer.decode()


@pytest.mark.parametrize("start", [
    b"GET /v1/mo", b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
], ids=["line", "head"])
def test_a_client_that_drips_holds_nobody_up(served, start):
    """Those who send their requests a byte at a time wait beside the others; what ends them is timed in the gateway's
    own tests."""
    node = served(1)
    with contextlib.ExitStack() as held:
        slow = [held.enter_context(RawConnection(node)) for _ in range(64)]
        for connection in slow:
            connection.socket.sendall(start)
        assert status_of(node)[0] == 200
        for connection in slow:
            connection.socket.sendall(b"x")
        assert status_of(node)[0] == 200
