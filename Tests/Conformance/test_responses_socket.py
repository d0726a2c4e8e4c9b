"""The Responses API over a WebSocket: the vendor's SDK, and a client of its own for what the SDK does not do."""

import json

import openai
import pytest
import websockets.exceptions
from websockets.sync.client import connect

from conftest import ANSWER_SECONDS
from node import MODEL_NAME
from questions import CAPITAL, CAPITAL_ANSWER, WEATHER, WORD_PROBLEM
from test_responses import TOOL, Stream, ask

TERMINAL = ("response.completed", "response.incomplete", "response.failed", "error")


def turn(connection, question, **fields):
    """One response by the SDK's connection: its events, read as the SDK's own types."""
    connection.response.create(model=MODEL_NAME, input=question, temperature=0, **fields)
    events = []
    for event in connection:
        events.append(event)
        if event.type in TERMINAL:
            return events
    raise AssertionError("the connection ended before the response did")


@pytest.mark.parametrize("question", [CAPITAL, WORD_PROBLEM])
def test_the_sdk_gets_the_response_of_an_http_request(client, question):
    whole = ask(client, question)
    with client.responses.connect() as connection:
        for _ in range(2):
            streamed = Stream(turn(connection, question))
            assert streamed.final.output_text == whole.output_text
            assert streamed.final.usage == whole.usage
            assert [item.type for item in streamed.items] == [item.type for item in whole.output]


def test_a_conversation_goes_on_without_a_store(client):
    with client.responses.connect() as connection:
        first = Stream(turn(connection, WEATHER, tools=[TOOL], store=False)).final
        [call] = [item for item in first.output if item.type == "function_call"]
        output = {"type": "function_call_output", "call_id": call.call_id,
            "output": '{"temperature": 18, "condition": "sunny"}'}
        second = Stream(
            turn(connection, [output], tools=[TOOL], store=False, previous_response_id=first.id)).final
        assert second.output_text == "It is sunny in Paris with 18 degrees."
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(first.id)
    with client.responses.connect() as connection:
        [error] = turn(connection, [output], previous_response_id=first.id)
        assert (error.type, error.code, error.param) == (
            "error", "previous_response_not_found", "previous_response_id")


def test_a_stored_response_goes_on_in_both_transports(client):
    with client.responses.connect() as connection:
        first = Stream(turn(connection, "Hello")).final
    assert client.responses.retrieve(first.id).output_text == first.output_text
    assert ask(client, CAPITAL, previous_response_id=first.id).status == "completed"


def test_messages_are_whole_events_and_errors_end_nothing(server):
    url = server.url.replace("http://", "ws://") + "/v1/responses"
    with connect(url, open_timeout=ANSWER_SECONDS) as socket:
        socket.send("{")
        error = json.loads(socket.recv(timeout=ANSWER_SECONDS))
        assert (error["type"], error["status"], error["error"]["code"]) == ("error", 400, "invalid_json")
        socket.send(json.dumps({"type": "response.create", "model": "nobody", "input": CAPITAL}))
        error = json.loads(socket.recv(timeout=ANSWER_SECONDS))
        assert (error["status"], error["error"]["code"]) == (404, "model_not_found")
        asked = {"type": "response.create", "model": MODEL_NAME, "input": CAPITAL, "temperature": 0}
        # Two at once are answered one after the other.
        socket.send(json.dumps(asked | {"metadata": {"turn": "1"}}))
        socket.send(json.dumps(asked | {"metadata": {"turn": "2"}}))
        for number in "12":
            text = ""
            while True:
                event = json.loads(socket.recv(timeout=ANSWER_SECONDS))
                text += event["delta"] if event["type"] == "response.output_text.delta" else ""
                if event["type"] in TERMINAL:
                    break
            assert event["response"]["metadata"] == {"turn": number} and text == CAPITAL_ANSWER
        assert socket.ping().wait(ANSWER_SECONDS)
        socket.send(b"\0")
        with pytest.raises(websockets.exceptions.ConnectionClosedError) as caught:
            socket.recv(timeout=ANSWER_SECONDS)
        assert caught.value.rcvd.code == 1003


def test_a_client_that_leaves_ends_its_answer(served):
    node = served(1)
    with connect(node.url.replace("http://", "ws://") + "/v1/responses") as socket:
        socket.send(json.dumps({
            "type": "response.create", "model": MODEL_NAME, "input": "Hello", "max_output_tokens": 16_000,
            "grammar": 'root ::= "a"+'}))
        for _ in range(6):
            socket.recv(timeout=ANSWER_SECONDS)
    node.wait_until_idle()


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Sec-WebSocket-Version": "8"}])
def test_whoever_may_not_ask_gets_no_socket(served, headers):
    with pytest.raises((websockets.exceptions.InvalidStatus, websockets.exceptions.InvalidHandshake)) as caught:
        connect(served(1).url.replace("http://", "ws://") + "/v1/responses", additional_headers=headers).close()
    if isinstance(caught.value, websockets.exceptions.InvalidStatus):
        assert caught.value.response.status_code in (403, 426)
