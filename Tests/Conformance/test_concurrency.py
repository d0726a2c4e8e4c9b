"""Many clients at once, and clients that go away."""

import json
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from conftest import ANSWER_SECONDS, ask, client_of, text_of
from node import Node, wait_until
from questions import CAPITAL, CAPITAL_ANSWER, GOLDEN, STORY, endless, request
from sse import RawConnection, events, post

#: Seconds within which a lane must be free after its client has gone.
FREED_SECONDS = 10
#: Seconds within which as much is made as is kept of an answer that nobody reads, usually a few.
UNREAD_SECONDS = 150


@pytest.fixture(scope="module", params=[1, 2], ids=lambda stages: f"{stages}-stages")
def wide_node(request, tmp_path_factory):
    """A node with a window that takes minutes to fill, so that only an interruption ends an endless answer soon."""
    node = Node(
        tmp_path_factory.mktemp("wide"), "--stages", request.param, "--threads", 1, "--ctx", 16_384, "--lanes", 2)
    try:
        yield node.start()
    finally:
        node.destroy()


@pytest.fixture
def wide(wide_node):
    """The wide node, idle; a test that leaves it busy does not spoil the next one."""
    yield wide_node
    try:
        wide_node.wait_until_idle(FREED_SECONDS)
    except AssertionError:
        wide_node.stop_and_start_again()


def begin(node, body):
    """Sends a request and waits until its answer has begun; the caller closes the connection."""
    connection = RawConnection(node, seconds=20)
    connection.send("POST", "/v1/chat/completions", body)
    status, _ = connection.head()
    assert status == 200
    if body.get("stream"):
        connection.read_until(b'"content":')
    return connection


def test_sixteen_clients_get_the_answers_they_would_get_alone(server):
    client = client_of(server)
    questions = (list(GOLDEN) * 3)[:16]
    barrier = threading.Barrier(len(questions))

    def one(position):
        barrier.wait()
        question = questions[position]
        if position % 2:
            chunks = ask(client, question, stream=True)
            return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        return text_of(client, question)

    with ThreadPoolExecutor(len(questions)) as pool:
        answers = list(pool.map(one, range(len(questions))))
    assert answers == [GOLDEN[question] for question in questions]
    server.wait_until_idle()


def test_long_and_short_answers_share_the_node(server):
    """Nobody waits for a long answer to end."""
    client = client_of(server)
    with ThreadPoolExecutor(5) as pool:
        stories = [pool.submit(text_of, client, STORY, seed=seed, temperature=1, max_tokens=200) for seed in range(3)]
        shorts = [pool.submit(text_of, client, CAPITAL) for _ in range(8)]
        assert [short.result() for short in shorts] == [CAPITAL_ANSWER] * 8
        assert all(story.result() for story in stories)
    server.wait_until_idle()


def test_the_lane_of_a_stream_is_freed_when_its_client_goes(wide):
    connection = begin(wide, endless())
    wait_until(lambda: wide.metric("skein_lanes_in_use") == 1, 10, "the lane in use")
    connection.socket.close()
    wide.wait_until_idle(FREED_SECONDS)


def test_the_lanes_of_all_choices_are_freed(wide):
    connection = begin(wide, endless(n=2))
    wait_until(lambda: wide.metric("skein_lanes_in_use") == 2, 10, "the lanes in use")
    connection.socket.close()
    wide.wait_until_idle(FREED_SECONDS)


def test_a_lane_is_freed_when_the_client_resets_the_connection(wide):
    connection = begin(wide, endless())
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.socket.close()
    wide.wait_until_idle(FREED_SECONDS)


def test_a_lane_is_freed_when_the_sdk_closes_its_stream(wide):
    stream = ask(client_of(wide), STORY, stream=True, max_tokens=16_000, extra_body={"ignore_eos": True})
    next(iter(stream))
    stream.close()
    wide.wait_until_idle(FREED_SECONDS)


def test_the_lane_of_an_answer_in_one_piece_is_freed_when_its_client_goes(wide):
    connection = RawConnection(wide)
    connection.send("POST", "/v1/chat/completions", endless() | {"stream": False})
    wait_until(lambda: wide.metric("skein_lanes_in_use") == 1, 10, "the start of the answer")
    connection.socket.close()
    wide.wait_until_idle(FREED_SECONDS)


def test_a_client_that_does_not_read_holds_up_nobody(wide):
    connection = RawConnection(wide)
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.send("POST", "/v1/chat/completions", endless())
    wait_until(lambda: wide.metric("skein_lanes_in_use") == 1, 10, "the start of the answer")
    for _ in range(5):
        assert text_of(client_of(wide), CAPITAL) == CAPITAL_ANSWER
    connection.socket.close()
    wide.wait_until_idle(FREED_SECONDS)


def test_of_an_answer_that_nobody_reads_only_so_much_is_kept(own_node):
    """Its lanes are free long before it would be complete, while its connection stays open; what comes then is the
    reason. Twenty alternatives to each token fill 4 MiB with 2,600 tokens, of the 32,000 that were asked for."""
    node = own_node("--threads", 1, "--ctx", 16_384, "--lanes", 2)
    with RawConnection(node) as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.send("POST", "/v1/chat/completions", endless(n=2, logprobs=True, top_logprobs=20))
        wait_until(lambda: node.metric("skein_lanes_in_use") == 2, 10, "the start of the answer")
        node.wait_until_idle(UNREAD_SECONDS)
        # What the system holds of the answer would come a few kilobytes at a time.
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        status, _, body = connection.answer()
    assert status == 200
    last = events(body)[-1]
    assert last.is_error and last.json["error"]["code"] == "client_too_slow"


def test_a_client_that_gives_up_in_the_waiting_line_leaves_it(wide):
    running = [begin(wide, endless()) for _ in range(2)]
    waiting = RawConnection(wide)
    waiting.send("POST", "/v1/chat/completions", endless())
    wait_until(lambda: wide.metric("skein_requests_queued") == 1, 10, "waiting in line")
    waiting.socket.close()
    wait_until(lambda: wide.metric("skein_requests_queued") == 0, FREED_SECONDS, "leaving the line")
    assert wide.metric("skein_lanes_in_use") == 2
    for connection in running:
        connection.socket.close()
    wide.wait_until_idle(FREED_SECONDS)


def test_a_waiting_client_hears_its_place_and_then_its_answer(wide):
    running = [begin(wide, endless()) for _ in range(2)]
    with RawConnection(wide) as waiting:
        waiting.send("POST", "/v1/chat/completions", request(CAPITAL, stream=True))
        wait_until(lambda: wide.metric("skein_requests_queued") == 1, 10, "waiting in line")
        for connection in running:
            connection.socket.close()
        status, _, body = waiting.answer()
    assert status == 200
    stream = events(body)
    assert stream[0].is_comment and stream[0].text.startswith("queued position=1")
    chunks = [event.json for event in stream if not event.is_comment and event.text != "[DONE]"]
    deltas = [choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]]
    assert "".join(deltas) == CAPITAL_ANSWER
    wide.wait_until_idle(FREED_SECONDS)


def test_a_full_waiting_line_refuses_with_a_time_to_come_back(wide):
    taken = [begin(wide, endless()) for _ in range(2)]
    refusal = None
    while refusal is None and len(taken) < 2 + 16 + 1:
        before = wide.metric("skein_requests_queued")
        connection = RawConnection(wide)
        connection.send("POST", "/v1/chat/completions", endless())
        taken.append(connection)

        def settled(before=before, connection=connection):
            connection.socket.settimeout(0.01)
            try:
                connection.fill()
            except TimeoutError:
                pass
            return connection.buffer.startswith(b"HTTP/1.1 429") or wide.metric("skein_requests_queued") > before

        wait_until(settled, 10, "a place in line or a refusal")
        if connection.buffer.startswith(b"HTTP/1.1 429"):
            connection.socket.settimeout(10)
            refusal = connection.answer()
    assert refusal is not None, "a line of 16 places never was full"
    status, headers, body = refusal
    assert json.loads(body)["error"]["code"] == "rate_limit_exceeded"
    assert int(headers["retry-after"]) >= 1
    for connection in taken:
        connection.socket.close()
    wide.wait_until_idle(FREED_SECONDS)
    assert text_of(client_of(wide), CAPITAL) == CAPITAL_ANSWER


def test_refusals_and_garbage_do_not_disturb_a_running_answer(server):
    """The answer of one client is the same while others misbehave."""
    stop = threading.Event()

    def misbehave():
        while not stop.is_set():
            post(server, b"{" * 1000)
            post(server, request(CAPITAL, model="nope"))
            httpx.get(f"{server.url}/v1/nope", timeout=ANSWER_SECONDS)
            with RawConnection(server) as connection:
                connection.send("POST", "/v1/chat/completions", request(STORY, stream=True)).head()

    with ThreadPoolExecutor(1) as pool:
        trouble = pool.submit(misbehave)
        try:
            answers = {question: text_of(client_of(server), question) for question in GOLDEN}
        finally:
            stop.set()
        trouble.result()
    assert answers == GOLDEN
    server.wait_until_idle()
