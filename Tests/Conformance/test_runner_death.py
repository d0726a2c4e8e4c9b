"""Runners and nodes that are killed: what clients see, what comes back, what is left behind."""

import json
import os
import signal
import threading
import time

import openai
import pytest

from conftest import ask, client_of, text_of
from node import STOP_SECONDS, Node, wait_until
from questions import CAPITAL, CAPITAL_ANSWER, STORY, endless, request
from sse import RawConnection, events, post

WIDE = ["--threads", 1, "--ctx", 16_384]

#: Seconds from a kill to the next answer: starting again takes well under one, the policy pauses up to two.
RECOVERY_SECONDS = 20


def begin_stream(node, **fields):
    """Starts an answer that takes minutes; returns the connection once text has come."""
    connection = RawConnection(node, seconds=20)
    connection.send("POST", "/v1/chat/completions", endless(**fields))
    assert connection.head()[0] == 200
    connection.read_until(b'"content":"Once')
    return connection


def rest_of(connection, seconds=20):
    """The events from here to the end of the body, which must be a whole one."""
    deadline = time.monotonic() + seconds
    connection.read_until(b"\n\n")
    body = connection.buffer
    # What is buffered may end anywhere in a chunk: go on at the byte level and take the chunk sizes out afterwards.
    connection.buffer = b""
    while not body.endswith(b"\r\n0\r\n\r\n"):
        assert time.monotonic() < deadline, f"the stream did not end within {seconds} s"
        connection.fill()
        body, connection.buffer = body + connection.buffer, b""
    lines = [line for line in body.split(b"\n") if line.startswith((b"data: ", b": "))]
    return events(b"\n\n".join(lines) + b"\n\n")


@pytest.mark.parametrize("stages, stage", [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)])
def test_a_killed_runner_ends_its_requests_with_one_typed_error(own_node, stages, stage):
    node = own_node("--stages", stages, *WIDE)
    runners = node.runners()
    assert len(runners) == stages
    # Two answers are under way, so that both must end.
    connections = [begin_stream(node) for _ in range(2)]
    killed_at = time.monotonic()
    os.kill(node.runner_of_stage(stage), signal.SIGKILL)
    for connection in connections:
        stream = rest_of(connection)
        errors = [event for event in stream if event.is_error]
        assert len(errors) == 1 and stream[-1].is_error, "exactly one error, and nothing follows it"
        assert "[DONE]" not in [event.text for event in stream]
        error = errors[0].json["error"]
        assert error["code"] == "stage_lost"
        assert error["type"] == "service_unavailable_error"
        assert "signal 9" in error["message"]
        assert error["message"].startswith(f"Stage {stage} ")
        connection.socket.close()
    assert time.monotonic() - killed_at < 10, "the loss is noticed at once"

    assert text_of(client_of(node), CAPITAL) == CAPITAL_ANSWER
    assert time.monotonic() - killed_at < RECOVERY_SECONDS
    assert node.process.poll() is None, "the node itself stays up"
    # The stages that lost their neighbour are replaced, too, and none of the old ones stays.
    wait_until(lambda: len(node.runners()) == stages, 10, "one runner per stage")
    assert not set(node.runners()) & set(runners)
    assert node.metric("skein_placement_restarts_total") == 1
    node.stop()


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGTERM"])
def test_any_death_of_a_runner_is_noticed_soon_and_named(own_node, name):
    node = own_node("--stages", 2, *WIDE)
    with begin_stream(node) as connection:
        killed_at = time.monotonic()
        os.kill(node.runner_of_stage(1), getattr(signal, name))
        [error] = [event.json["error"] for event in rest_of(connection) if event.is_error]
    assert time.monotonic() - killed_at < 5
    assert error["code"] == "stage_lost"
    assert text_of(client_of(node), CAPITAL) == CAPITAL_ANSWER
    node.stop()


def test_the_sdk_raises_when_a_stage_is_lost(own_node):
    node = own_node("--stages", 2, *WIDE)
    stream = ask(client_of(node), STORY, stream=True, max_tokens=16_000, extra_body={"ignore_eos": True})
    received = ""
    with pytest.raises(openai.APIError) as caught:
        for chunk in stream:
            received += chunk.choices[0].delta.content or ""
            if len(received) > 20 and node.metric("skein_placement_restarts_total") == 0 and node.runners():
                os.kill(node.runner_of_stage(1), signal.SIGKILL)
                wait_until(lambda: node.metric("skein_placement_restarts_total") == 1, 10, "the restart")
    assert caught.value.code == "stage_lost"
    assert received.startswith("Once upon a time")
    node.stop()


def test_an_answer_in_one_piece_becomes_a_503(own_node):
    node = own_node("--stages", 2, *WIDE)
    with RawConnection(node, seconds=20) as connection:
        connection.send("POST", "/v1/chat/completions", endless() | {"stream": False})
        wait_until(lambda: node.metric("skein_lanes_in_use") == 1, 10, "the start of the answer")
        os.kill(node.runner_of_stage(1), signal.SIGKILL)
        status, headers, body = connection.answer()
    assert status == 503
    assert int(headers["retry-after"]) >= 1
    assert json.loads(body)["error"]["code"] == "stage_lost"
    assert text_of(client_of(node), CAPITAL) == CAPITAL_ANSWER
    node.stop()


def test_a_request_sent_while_a_stage_starts_again_waits_for_it(own_node):
    node = own_node("--stages", 2, *WIDE)
    os.kill(node.runner_of_stage(0), signal.SIGKILL)
    assert text_of(client_of(node), CAPITAL) == CAPITAL_ANSWER
    node.stop()


def test_a_deployment_that_keeps_dying_is_given_up_with_its_reason(own_node):
    """Three losses within a minute open the breaker; the node stays up and says why."""
    node = own_node("--stages", 2, *WIDE)
    for losses in range(3):
        # Right after a loss the node is still ready by what it knows: it is anew when there are runners, too.
        wait_until(lambda: len(node.runners()) == 2 and node.get("/readyz")[0] == 200, RECOVERY_SECONDS, "readiness")
        known = node.runners()
        os.kill(node.runner_of_stage(1), signal.SIGKILL)
        wait_until(lambda known=known: not set(node.runners()) & set(known), 10, "the end of the old runners")

    def given_up():
        status, body = node.get("/readyz")
        return status == 503 and json.loads(body)["models"][0]["state"] == "failed"

    wait_until(given_up, 10, "giving up")
    assert "signal 9" in json.loads(node.get("/readyz")[1])["models"][0]["reason"]
    assert node.get("/healthz")[0] == 200
    status, headers, body = post(node, request(CAPITAL))
    assert status == 503 and int(headers["retry-after"]) >= 1
    assert json.loads(body)["error"]["code"] == "model_not_ready"
    assert node.runners() == []
    node.stop()


@pytest.mark.parametrize("stages", [1, 3])
def test_no_runner_survives_a_killed_node(own_node, stages):
    node = own_node("--stages", stages, *WIDE)
    connection = begin_stream(node)
    assert len(node.runners()) == stages
    node.process.kill()
    node.process.wait(STOP_SECONDS)
    # They usually need milliseconds; more than seconds means that they crash while they end.
    wait_until(lambda: not node.surviving_runners(), 4, "the end of all runners")
    connection.socket.close()


def test_a_stopped_runner_does_not_keep_the_node_from_ending(own_node):
    """A runner that does not react to anything is killed, too."""
    node = own_node("--stages", 2, *WIDE)
    os.kill(node.runner_of_stage(1), signal.SIGSTOP)
    node.stop()


# Stopping


def test_sigterm_ends_an_idle_node_with_open_connections(own_node):
    node = own_node("--stages", 2, *WIDE)
    with RawConnection(node) as connection:
        assert connection.send("GET", "/healthz").answer()[0] == 200
        node.stop()


@pytest.mark.parametrize("stages", [1, 2])
def test_sigterm_ends_a_node_that_is_answering(own_node, stages):
    """The answer gets its typed end, or at least the connection an end; the node does not wait for minutes."""
    node = own_node("--stages", stages, *WIDE)
    connection = begin_stream(node)
    lines = []

    def read():
        try:
            lines.extend(rest_of(connection))
        except ConnectionError:
            lines.append(None)

    reader = threading.Thread(target=read)
    reader.start()
    node.stop()
    reader.join(10)
    assert not reader.is_alive() and lines
    assert lines[-1] is not None and lines[-1].is_error, "the client is told that its answer is not whole"


def test_sigint_ends_a_node_as_sigterm_does(own_node):
    node = own_node("--stages", 2, *WIDE)
    node.process.send_signal(signal.SIGINT)
    node.process.wait(STOP_SECONDS)
    node.stop()


def test_sigterm_during_the_start_is_obeyed(tmp_path):
    node = Node(tmp_path / "node", "--stages", 3, "--threads", 1)
    try:
        node.launch().wait_for_port()
        node.stop()
    finally:
        node.destroy()


def test_the_folder_of_sockets_is_removed(own_node):
    node = own_node("--stages", 2, *WIDE)
    [folder] = {os.path.dirname(path) for path in node.sockets()}
    assert os.stat(folder).st_mode & 0o077 == 0, "nobody else may enter it"
    node.stop()
    assert not os.path.exists(folder)
