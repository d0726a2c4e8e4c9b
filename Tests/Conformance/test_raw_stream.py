"""The event stream byte by byte, over a plain socket."""

import json

import pytest

from questions import CAPITAL, CAPITAL_ANSWER, GOLDEN, STORY, WEATHER, WEATHER_TOOL, WORD_PROBLEM, request
from sse import RawConnection, events, post

QUESTIONS = {
    "text": request(CAPITAL, stream=True),
    "usage": request(CAPITAL, stream=True, stream_options={"include_usage": True}),
    "long": request(STORY, stream=True),
    "emoji": request("Show me a rocket emoji", stream=True),
    "chinese": request("你好", stream=True),
    "reasoning": request(WORD_PROBLEM, stream=True),
    "tools": request(WEATHER, stream=True, tools=[WEATHER_TOOL]),
    "choices": request(CAPITAL, stream=True, n=2),
    "logprobs": request("Show me a rocket emoji", stream=True, logprobs=True, top_logprobs=2),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_stream_is_exact_events(server, name):
    with RawConnection(server) as connection:
        status, headers = connection.send("POST", "/v1/chat/completions", QUESTIONS[name]).head()
        assert status == 200
        assert headers["content-type"] == "text/event-stream"
        assert headers["cache-control"] == "no-cache"
        assert headers["transfer-encoding"] == "chunked"
        assert "content-length" not in headers
        chunks = list(connection.chunks())
    for chunk in chunks:
        chunk.decode("utf-8", errors="strict")
        assert chunk.endswith(b"\n\n"), "what is sent at once are whole events"
    stream = events(b"".join(chunks))
    assert [event.text for event in stream].count("[DONE]") == 1
    assert stream[-1].text == "[DONE]"
    data = [event.json for event in stream[:-1] if not event.is_comment]
    assert all(entry["object"] == "chat.completion.chunk" for entry in data)
    assert len({(entry["id"], entry["created"], entry["model"]) for entry in data}) == 1
    finished = [c["index"] for entry in data for c in entry["choices"] if c["finish_reason"] is not None]
    assert sorted(finished) == list(range(QUESTIONS[name].get("n", 1)))


@pytest.mark.parametrize("question", ["Show me a rocket emoji", "你好"])
def test_no_event_cuts_a_character(server, question):
    """Both answers have characters of several tokens, so a careless server would send half of one."""
    _, _, body = post(server, request(question, stream=True))
    deltas = [
        choice["delta"].get("content") or ""
        for event in events(body)[:-1] for choice in event.json["choices"]]
    assert "".join(deltas) == GOLDEN[question]
    assert not any("\ufffd" in delta for delta in deltas)


def test_only_the_last_chunk_has_usage_and_the_others_say_null(server):
    data = [event.json for event in events(post(server, QUESTIONS["usage"])[2])[:-1]]
    assert all(entry["usage"] is None for entry in data[:-1])
    assert data[-1]["choices"] == []
    assert data[-1]["usage"]["completion_tokens"] > 0
    without = [event.json for event in events(post(server, QUESTIONS["text"])[2])[:-1]]
    assert not any(entry.get("usage") for entry in without)


def test_the_members_the_vendor_requires_are_there(server):
    """Clients forgive what strictly typed ones do not: required members are sent even when they are null."""
    for event in events(post(server, QUESTIONS["text"])[2])[:-1]:
        assert {"id", "object", "created", "model", "choices"} <= set(event.json)
        for choice in event.json["choices"]:
            assert {"index", "delta", "logprobs", "finish_reason"} <= set(choice)
    _, _, body = post(server, request(CAPITAL))
    answer = json.loads(body)
    assert {"id", "object", "created", "model", "choices", "usage"} <= set(answer)
    [choice] = answer["choices"]
    assert {"index", "message", "logprobs", "finish_reason"} <= set(choice)
    assert {"role", "content", "refusal"} <= set(choice["message"])


def test_a_connection_serves_one_request_after_another(server):
    with RawConnection(server) as connection:
        for stream in [True, False, True, False]:
            status, headers, body = connection.send(
                "POST", "/v1/chat/completions", request(CAPITAL, stream=stream)).answer()
            assert status == 200
            assert headers.get("connection", "keep-alive").lower() == "keep-alive"
            assert (b"[DONE]" in body) == stream
        status, _, body = connection.send("POST", "/v1/chat/completions", b"{").answer()
        assert status == 400
        assert connection.send("GET", "/healthz").answer()[0] == 200


def test_pipelined_requests_are_answered_in_their_order(server):
    questions = [CAPITAL, "Hello", "Who are you?"]
    with RawConnection(server) as connection:
        for question in questions:
            connection.send("POST", "/v1/chat/completions", request(question))
        for question in questions:
            status, _, body = connection.answer()
            assert status == 200
            assert json.loads(body)["choices"][0]["message"]["content"] == GOLDEN[question]


def test_the_client_may_ask_to_close_the_connection(server):
    with RawConnection(server) as connection:
        connection.send("POST", "/v1/chat/completions", request(CAPITAL), headers=["Connection: close"])
        status, _, body = connection.answer()
        assert status == 200
        assert json.loads(body)["choices"][0]["message"]["content"] == CAPITAL_ANSWER
        with pytest.raises(ConnectionError):
            connection.read_exactly(1)


def test_a_request_may_arrive_byte_by_byte(server):
    """Any split of the bytes is the same request."""
    body = json.dumps(request("你好"), ensure_ascii=False).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with RawConnection(server) as connection:
        for byte in head + body:
            connection.socket.sendall(bytes([byte]))
        status, _, answer = connection.answer()
        assert status == 200
        assert json.loads(answer)["choices"][0]["message"]["content"] == GOLDEN["你好"]


def test_a_request_body_may_be_chunked(server):
    body = json.dumps(request(CAPITAL)).encode()
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [body[:7], body[7:]]) + b"0\r\n\r\n"
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with RawConnection(server) as connection:
        connection.socket.sendall(head + pieces)
        assert connection.answer()[0] == 200


def test_an_error_before_the_first_byte_has_its_status(server):
    """A streaming request that cannot be served is never a 200."""
    for body, status, code in [
        (request(CAPITAL, stream=True, model="nope"), 404, "model_not_found"),
        (request("word " * 5000, stream=True), 400, "context_length_exceeded"),
        (request(CAPITAL, stream=True, n=100), 400, "invalid_value"),
    ]:
        got, headers, answer = post(server, body)
        assert (got, headers["content-type"]) == (status, "application/json")
        assert json.loads(answer)["error"]["code"] == code
