"""What a client sees when a request cannot be served: the status, OpenAI's shape, the numbers, the field."""

import json

import openai
import pytest

from conftest import ask, client_of, text_of
from node import MODEL_NAME
from questions import CAPITAL, CAPITAL_ANSWER, WEATHER_TOOL, request
from sse import RawConnection, post

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def server(served):
    """Refusals are the work of the gateway and the entry stage, so one cut is enough."""
    return served(2)


def error_of(status, headers, body):
    """The error object of an answer, with its shape checked."""
    assert headers["content-type"] == "application/json", body
    answer = json.loads(body)
    assert set(answer) == {"error"}, answer
    error = answer["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str) and error["message"]
    assert isinstance(error["type"], str) and isinstance(error["code"], str)
    return error


def refused(server, body, status, code, param=None, saying=()):
    """Sends a body, expects an error, and that the server then still answers."""
    got, headers, answer = post(server, body)
    assert got == status, answer
    error = error_of(got, headers, answer)
    assert (error["code"], error["param"]) == (code, param), error
    for words in saying:
        assert words in error["message"], error["message"]
    assert text_of(client_of(server), CAPITAL) == CAPITAL_ANSWER
    return error


def with_field(text):
    """The bytes of a valid request with one more member, written as it is."""
    return json.dumps(request(CAPITAL, temperature=None))[:-1].encode() + b", " + text.encode() + b"}"


# As the SDK reports it


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="nope", messages=[{"role": "user", "content": "Hello"}])
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert "nope" in caught.value.message and MODEL_NAME in caught.value.message
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nope")


def test_a_wrong_type_names_its_field(client):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, CAPITAL, temperature="hot")
    assert caught.value.param == "temperature"
    assert caught.value.type == "invalid_request_error"


def test_errors_carry_their_request_id(client):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, CAPITAL, temperature="hot")
    assert caught.value.request_id


def test_a_prompt_beyond_the_window_is_refused_with_its_numbers(client):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "word " * 5000)
    assert caught.value.code == "context_length_exceeded"
    assert "2048" in caught.value.message
    tokens = [int(word) for word in caught.value.message.replace(",", " ").split() if word.isdigit()]
    assert any(count > 5000 for count in tokens), "the message says how long the prompt is"


# Fields


@pytest.mark.parametrize(
    "field, code, param, saying", [
        ('"temperature": "hot"', "invalid_type", "temperature", ["a number", "a string"]),
        ('"temperature": -0.1', "decimal_below_min_value", "temperature", ["-0.1", "0"]),
        ('"temperature": 2.5', "decimal_above_max_value", "temperature", ["2.5", "2"]),
        ('"temperature": 1e999', "decimal_above_max_value", "temperature", ["1e999"]),
        ('"max_tokens": -2', "integer_below_min_value", "max_tokens", ["-2", "1"]),
        ('"max_tokens": 0', "integer_below_min_value", "max_tokens", ["0", "1"]),
        ('"max_tokens": 9223372036854775808', "integer_above_max_value", "max_tokens", ["9223372036854775808"]),
        ('"max_tokens": -9223372036854775809', "integer_below_min_value", "max_tokens", ["-9223372036854775809"]),
        ('"max_tokens": 1e309', "integer_above_max_value", "max_tokens", ["1e309"]),
        ('"max_tokens": 1.5', "invalid_type", "max_tokens", ["1.5"]),
        ('"max_tokens": "5"', "invalid_type", "max_tokens", ["a string"]),
        ('"max_tokens": true', "invalid_type", "max_tokens", []),
        ('"top_p": 1.1', "decimal_above_max_value", "top_p", ["1.1"]),
        ('"n": 0', "integer_below_min_value", "n", ["0"]),
        ('"n": 129', "integer_above_max_value", "n", ["128", "129"]),
        ('"n": 5', "invalid_value", "n", ["5", "4"]),
        ('"stop": [1]', "invalid_type", "stop[0]", ["a string"]),
        ('"stop": ["a","b","c","d","e","f","g","h","i","j","k","l","m","n","o","p","q"]', "array_above_max_length",
         "stop", ["16", "17"]),
        ('"seed": 1.5', "invalid_type", "seed", ["1.5"]),
        ('"stream": "yes"', "invalid_type", "stream", ["a boolean"]),
        ('"stream_options": {"include_usage": true}', "conflicting_parameters", "stream_options", ["stream"]),
        ('"logprobs": 1', "invalid_type", "logprobs", ["a boolean"]),
        ('"top_logprobs": 2', "conflicting_parameters", "top_logprobs", ["logprobs"]),
        ('"logprobs": true, "top_logprobs": 21', "integer_above_max_value", "top_logprobs", ["20", "21"]),
        ('"logit_bias": {"999999": 5}', "invalid_value", "logit_bias", ["999999", "4095"]),
        ('"logit_bias": {"x": 5}', "invalid_value", "logit_bias", ["x"]),
        ('"stop_token_ids": [999999]', "invalid_value", "stop_token_ids", ["999999", "4095"]),
        ('"stop_token_ids": ["x"]', "invalid_type", "stop_token_ids[0]", ["an integer"]),
        ('"samplers": ["top_k", "nucleus"]', "invalid_value", "samplers[1]", ["nucleus", "top_p"]),
        ('"response_format": {"type": "xml"}', "invalid_value", "response_format.type", ["xml", "json_schema"]),
        ('"tools": [{"type": "function"}]', "missing_required_parameter", "tools[0].function", []),
        ('"tool_choice": "required"', "conflicting_parameters", "tool_choice", ["tools"]),
        ('"functions": []', "unsupported_parameter", "functions", ["tools"]),
        ('"max_completion_tokens": 3, "max_tokens": 4', "conflicting_parameters", "max_tokens", []),
    ])
def test_a_bad_field_is_refused_by_name(server, field, code, param, saying):
    refused(server, with_field(field), 400, code, param, saying)


@pytest.mark.parametrize("field", ['"max_tokens": NaN', '"max_tokens": Infinity', '"temperature": nan'])
def test_what_is_no_number_in_json_is_no_json(server, field):
    refused(server, with_field(field), 400, "invalid_json", None, ["byte"])


def test_a_limit_of_minus_one_is_none(client):
    assert text_of(client, CAPITAL, max_tokens=-1) == CAPITAL_ANSWER


def test_a_tool_choice_must_be_offered(server):
    body = request(CAPITAL, tools=[WEATHER_TOOL], tool_choice={"type": "function", "function": {"name": "other"}})
    refused(server, body, 400, "invalid_value", "tool_choice", ["other"])


def test_an_image_is_refused_by_name(server):
    part = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    refused(
        server, request([{"role": "user", "content": [part]}]), 400, "unsupported_value",
        "messages[0].content[0].image_url.url", ["URL fetching is off"])


def test_a_broken_grammar_is_the_clients_error(server):
    refused(server, request(CAPITAL, grammar="root ::= ("), 400, "invalid_value", "grammar")


def test_a_broken_schema_is_the_clients_error(server):
    schema = {"type": "object", "properties": {"a": {"$ref": "#/nope"}}}
    status, headers, body = post(server, request(
        CAPITAL, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}))
    assert status == 400, body
    assert error_of(status, headers, body)["param"].startswith("response_format")


def test_an_unknown_field_is_told_in_a_header(server):
    status, headers, _ = post(server, request(CAPITAL, no_such_field=1))
    assert status == 200
    assert "no_such_field" in headers["warnings"]


@pytest.mark.parametrize("name", ["a\r\nX-Injected: 1", "ü" * 40, "\u0000", "x" * 100_000])
def test_the_name_of_an_unknown_field_cannot_break_the_header(server, name):
    status, headers, _ = post(server, request(CAPITAL, **{name: 1}))
    assert status == 200
    assert "x-injected" not in headers
    assert headers["warnings"].isascii() and len(headers["warnings"]) <= 4096


# Bodies


@pytest.mark.parametrize(
    "messages, code, param", [
        ([], "array_below_min_length", "messages"),
        ("Hello", "invalid_type", "messages"),
        ([{"role": "user"}], "missing_required_parameter", "messages[0].content"),
        ([{"role": "nobody", "content": "x"}], "invalid_value", "messages[0].role"),
        ([{"role": "user", "content": 5}], "invalid_type", "messages[0].content"),
        ([{"role": "tool", "content": "x"}], "missing_required_parameter", "messages[0].tool_call_id"),
    ])
def test_bad_messages_are_refused_by_place(server, messages, code, param):
    refused(server, {"model": MODEL_NAME, "messages": messages}, 400, code, param)


@pytest.mark.parametrize("member", ["model", "messages"])
def test_a_missing_member_is_named(server, member):
    body = request(CAPITAL)
    del body[member]
    refused(server, body, 400, "missing_required_parameter", member)


@pytest.mark.parametrize(
    "body", [
        b"", b"{", b'{"model":', b"nonsense", b'{"a":1}}', b'{"a":"\xff\xfe"}', b'{"a":"\\ud800"}', b'{"a":"\n"}',
        b'{"a":1,"a":2}', b"\xef\xbb\xbf{", b'{"a":' * 10_000, b"[" * 1_000_000,
    ], ids=lambda body: repr(body[:20]))
def test_broken_json_is_told_with_its_place(server, body):
    refused(server, body, 400, "invalid_json", None, ["byte"])


def test_a_body_must_be_an_object(server):
    refused(server, b"[1]", 400, "invalid_type", "body", ["an object"])


def test_a_body_of_40_megabytes_is_too_large(server):
    body = b'{"model":"skein-tiny","messages":[{"role":"user","content":"' + b"x" * (40 << 20) + b'"}]}'
    with RawConnection(server, seconds=10) as connection:
        try:
            connection.send("POST", CHAT, body)
        except OSError:
            pass  # The server may answer and close without reading all of it.
        status, headers, answer = connection.answer()
    assert status == 413
    error = error_of(status, headers, answer)
    assert error["code"] == "request_too_large"
    assert str(32 << 20) in error["message"]
    assert text_of(client_of(server), CAPITAL) == CAPITAL_ANSWER


def test_a_declared_length_beyond_the_limit_is_refused_before_the_body_comes(server):
    with RawConnection(server, seconds=10) as connection:
        connection.socket.sendall(f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {1 << 40}\r\n\r\n{{".encode())
        assert connection.head()[0] == 413


# Routes


@pytest.mark.parametrize("method, path", [
    ("GET", "/v1"), ("GET", "/v1/nope"), ("POST", "/v1/nope"), ("GET", "/v1/chat"),
    ("POST", "/v1/chat/completions/x"), ("GET", "/../../etc/passwd"), ("GET", "/%00"),
])
def test_an_unknown_route_is_told_in_openais_shape(server, method, path):
    with RawConnection(server) as connection:
        status, headers, body = connection.send(method, path, b"{}" if method == "POST" else None).answer()
    assert status == 404
    error = error_of(status, headers, body)
    assert (error["code"], error["type"]) == ("unknown_url", "invalid_request_error")
    assert method in error["message"]


@pytest.mark.parametrize("method, path, allowed", [
    ("GET", CHAT, "POST"), ("PUT", CHAT, "POST"), ("DELETE", CHAT, "POST"), ("POST", "/v1/models", "GET"),
    ("DELETE", f"/v1/models/{MODEL_NAME}", "GET"), ("POST", "/healthz", "GET"),
])
def test_a_wrong_method_is_told_which_one_is_right(server, method, path, allowed):
    with RawConnection(server) as connection:
        status, headers, body = connection.send(method, path, b"{}").answer()
    assert status == 405, body
    assert allowed in [name.strip() for name in headers["allow"].split(",")]
    error = error_of(status, headers, body)
    assert error["code"] == "method_not_allowed" and allowed in error["message"]


@pytest.mark.parametrize("garbage", [
    b"nonsense\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/9.9\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X-Filler: 0123456789\r\n" * 20_000 + b"\r\n",
], ids=["words", "no-path", "tls", "version", "negative-length", "two-lengths", "long-path", "many-headers"])
def test_what_is_no_http_does_not_hurt_the_server(server, garbage):
    with RawConnection(server, seconds=10) as connection:
        try:
            connection.socket.sendall(garbage)
            connection.socket.shutdown(1)
            status, _ = connection.head()
            assert 400 <= status < 500
        except OSError:
            pass  # Closing the connection without a word is an answer, too.
    assert text_of(client_of(server), CAPITAL) == CAPITAL_ANSWER


def test_a_model_with_a_slash_in_its_name_can_be_found(own_node):
    client = client_of(own_node("--name", "org/model:q8_0", "--threads", 1))
    assert [model.id for model in client.models.list().data] == ["org/model:q8_0"]
    assert client.models.retrieve("org/model:q8_0").id == "org/model:q8_0"
    answer = client.chat.completions.create(
        model="org/model:q8_0", messages=[{"role": "user", "content": CAPITAL}], temperature=0)
    assert answer.choices[0].message.content == CAPITAL_ANSWER
