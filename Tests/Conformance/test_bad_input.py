"""Bad input against the real binary: each is refused by name within its time, and others are served meanwhile."""

import json
import threading
import time

import pytest

from conftest import client_of, text_of
from node import MODEL_NAME
from questions import CAPITAL, CAPITAL_ANSWER, request
from sse import post

COMPLETIONS = "/v1/completions"
#: Seconds a refusal may take; the machine may be busy compiling.
REFUSAL_SECONDS = 10
WINDOW = 2048


@pytest.fixture(scope="module")
def server(served):
    return served(2)


@pytest.fixture(autouse=True)
def others(server):
    """Somebody else asks all the time, and gets the right answers."""
    stop = threading.Event()
    wrong = []

    def ask():
        client = client_of(server)
        while not stop.is_set():
            answer = text_of(client, CAPITAL)
            if answer != CAPITAL_ANSWER:
                wrong.append(answer)

    other = threading.Thread(target=ask)
    other.start()
    yield
    stop.set()
    other.join(60)
    assert not other.is_alive(), "another client waits for ever"
    assert not wrong
    assert text_of(client_of(server), CAPITAL) == CAPITAL_ANSWER


def refused(server, body, path="/v1/chat/completions", param=None, saying=(), code=None):
    began = time.monotonic()
    status, _, answer = post(server, body, path)
    took = time.monotonic() - began
    assert status == 400, (status, answer[:500])
    error = json.loads(answer)["error"]
    assert error["type"] == "invalid_request_error" and error["message"], error
    if param is not None:
        assert (error["param"] or "").startswith(param), error
    if code is not None:
        assert error["code"] == code, error
    for words in saying:
        assert words in error["message"], error["message"]
    assert took < REFUSAL_SECONDS, f"{took:.1f} s"
    return error


def raw(field):
    return json.dumps(request(CAPITAL, temperature=None))[:-1].encode() + b", " + field.encode() + b"}"


# Numbers


@pytest.mark.parametrize("name", [
    "temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty", "repeat_penalty", "typical_p",
    "xtc_probability", "dry_multiplier", "top_k", "seed", "n", "max_tokens"])
@pytest.mark.parametrize("value", ['"1"', "[]", "{}", "true"])
def test_a_parameter_that_is_no_number_is_refused_by_name(server, name, value):
    refused(server, raw(f'"{name}": {value}'), param=name, code="invalid_type")


@pytest.mark.parametrize("name", ["temperature", "seed", "max_tokens"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_what_json_has_no_numbers_for_is_refused_with_its_place(server, name, value):
    body = raw(f'"{name}": {value}')
    place = body.rindex(b" ") + 1
    refused(server, body, code="invalid_json", saying=[f"'{name}'", f"byte {place}", value.lstrip("-")])


@pytest.mark.parametrize("name", [
    "temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty", "repeat_penalty", "typical_p",
    "xtc_probability", "top_logprobs", "n"])
@pytest.mark.parametrize("value", ["-1e30", "1e30", "1e999", "-1e999"])
def test_a_parameter_beyond_all_bounds_is_refused_by_name(server, name, value):
    extra = '"logprobs": true, ' if name == "top_logprobs" else ""
    refused(server, raw(f'{extra}"{name}": {value}'), param=name)


def test_a_million_choices_are_refused_with_the_limit(server):
    refused(server, request(CAPITAL, n=1_000_000), param="n", saying=["1000000", "128"])


def test_a_thousand_stop_texts_are_refused_with_the_limit(server):
    refused(server, request(CAPITAL, stop=[f"s{n}" for n in range(1000)]), param="stop", saying=["1000", "16"])


def test_a_stop_text_of_a_megabyte_is_refused(server):
    refused(server, request(CAPITAL, stop=["x" * (1 << 20)]), param="stop")


# Grammars and schemas


#: Two ways from each rule to the next: the engine's library follows all 2^60.
DOUBLED = "root ::= a0\n" + "".join(
    f'a{n} ::= a{n + 1} "x" | a{n + 1} "y"\n' for n in range(60)) + 'a60 ::= "z"\n'


@pytest.mark.parametrize("grammar", [
    "root ::= (", 'root ::= "a', "root ::= nothing", 'other ::= "a"', "root ::= root", "root ::= root \"a\" | \"b\"",
    'root ::= "a"{1000000}', "root ::= " + "(" * 100_000, "\0", "root ::= [z-a",
    'root ::= "a"{5,2}', "root ::= " + " | ".join(f"r{n}" for n in range(100)),
], ids=["open-group", "open-text", "unknown-rule", "no-root", "left-recursive", "left-recursive-choice", "million",
        "deep", "zero", "open-class", "backwards", "unknown-rules"])
def test_a_grammar_that_is_none_or_explodes_is_refused(server, grammar):
    refused(server, request(CAPITAL, grammar=grammar, max_tokens=4), param="grammar")


@pytest.mark.parametrize("grammar, words", [
    (DOUBLED, "steps"),
    ('root ::= e root "x" | "b"\ne ::= d\nd ::= "q"?', "'root' may begin with itself"),
    ('root ::= "' + "a" * 200_000 + '"{2000}', "elements"),
    ("root ::= " + '"a"{2000} ' * 25_000, "elements"),
    ("n" * 200_000 + ' ::= "a"{0,2000}', "bytes"),
    ("root ::= r0\n" + "".join(f"r{n} ::= r{n + 1}\n" for n in range(12_000)) + 'r12000 ::= "a"', "3000"),
], ids=["doubled", "hidden-recursion", "long-text", "many-repetitions", "long-name", "chain"])
def test_a_grammar_the_library_does_not_survive_is_refused_with_the_reason(server, grammar, words):
    refused(server, request(CAPITAL, grammar=grammar, max_tokens=4), param="grammar", saying=[words])


def nested(depth):
    schema = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


@pytest.mark.parametrize("schema", [
    {"$ref": "#"}, {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
    {"$ref": "#/nope"}, {"$ref": "https://example.com/schema.json"}, {"type": "no-type"},
    {"type": "array", "items": {"type": "string"}, "minItems": 5, "maxItems": 2},
    {"type": "array", "items": {"type": "string"}, "minItems": 1_000_000},
    {"type": "string", "minLength": 1_000_000},
], ids=["itself", "circle", "nowhere", "elsewhere", "type", "backwards", "items", "length"])
def test_a_schema_that_is_none_or_explodes_is_refused(server, schema):
    refused(
        server, request(CAPITAL, max_tokens=4, response_format={
            "type": "json_schema", "json_schema": {"name": "x", "schema": schema}}), param="response_format")


def test_a_schema_whose_references_double_is_refused_with_the_reason(server):
    parts = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(60)}
    schema = {"$ref": "#/$defs/a0", "$defs": {**parts, "a60": {"type": "null"}}}
    refused(
        server, request(CAPITAL, max_tokens=4, response_format={
            "type": "json_schema", "json_schema": {"name": "x", "schema": schema}}),
        param="response_format", saying=["steps"])


def test_a_schema_whose_references_lead_nowhere_else_is_refused(server):
    loop = {"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#/$defs/a"}}}
    refused(
        server, request(CAPITAL, max_tokens=4, response_format={
            "type": "json_schema", "json_schema": {"name": "x", "schema": loop}}),
        param="response_format.json_schema.schema", saying=["$ref: #/$defs/a"])
    tool = {"type": "function", "function": {"name": "f", "description": "f", "parameters": loop}}
    refused(
        server, request(CAPITAL, max_tokens=4, tools=[tool]), param="tools[0].function.parameters",
        saying=["$ref: #/$defs/a"])


def test_a_schema_of_many_optional_properties_is_refused_also_when_tools_have_them_together(server):
    def schema(count):
        return {"type": "object", "properties": {f"p{n}": {"type": "null"} for n in range(count)}}

    refused(
        server, request(CAPITAL, max_tokens=4, response_format={
            "type": "json_schema", "json_schema": {"name": "x", "schema": schema(300)}}),
        param="response_format.json_schema.schema", saying=["300 properties", "256"])
    tools = [{"type": "function", "function": {"name": f"f{n}", "parameters": schema(128)}} for n in range(9)]
    refused(server, request(CAPITAL, max_tokens=4, tools=tools), param="tools", saying=["required"])


def test_a_name_that_the_library_does_not_survive_is_refused(server):
    for name in ["x" * 50_000, "ä" * 50_000]:
        schema = {"type": "object", "properties": {name: {"type": "null"}}, "additionalProperties": True}
        refused(
            server, request(CAPITAL, max_tokens=4, response_format={
                "type": "json_schema", "json_schema": {"name": "x", "schema": schema}}),
            param="response_format.json_schema.schema", saying=["bytes", "256"])


def test_a_schema_nested_beyond_the_limit_of_bodies_is_refused(server):
    refused(server, request(CAPITAL, max_tokens=4, response_format={
        "type": "json_schema", "json_schema": {"name": "x", "schema": nested(400)}}),
        code="invalid_json", saying=["64"])


def test_a_tool_whose_schema_is_backwards_is_refused(server):
    backwards = {"type": "object", "properties": {
        "a": {"type": "array", "items": {"type": "string"}, "minItems": 5, "maxItems": 2}}, "required": ["a"]}
    tool = {"type": "function", "function": {"name": "f", "description": "f", "parameters": backwards}}
    refused(server, request(CAPITAL, max_tokens=4, tools=[tool], tool_choice="required"), param="tools")


def test_a_schema_that_contains_itself_is_served(server):
    """Recursion by itself is no fault: a tree is a schema."""
    tree = {
        "$ref": "#/$defs/node", "$defs": {"node": {
            "type": "object", "properties": {"child": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
            "required": ["child"], "additionalProperties": False}}}
    status, _, answer = post(server, request(CAPITAL, max_tokens=40, response_format={
        "type": "json_schema", "json_schema": {"name": "x", "schema": tree}}))
    assert status == 200, answer
    assert json.loads(answer)["choices"][0]["message"]["content"].lstrip().startswith("{")


# Prompts


@pytest.mark.parametrize("prompt", [[], [[]], [-1], [4096], [2**31], [2**63], [1.5], [True], [None], [1, "a"]],
                         ids=repr)
def test_a_prompt_of_tokens_that_cannot_be_is_refused(server, prompt):
    refused(server, {"model": MODEL_NAME, "prompt": prompt, "max_tokens": 2}, COMPLETIONS, param="prompt")


def test_an_empty_prompt_is_refused(server):
    """The built-in model's vocabulary puts nothing in front of a text, so an empty one has no token."""
    refused(
        server, {"model": MODEL_NAME, "prompt": "", "max_tokens": 2}, COMPLETIONS, param="prompt",
        code="invalid_value", saying=["empty", "at least 1 token"])
    refused(server, {"model": MODEL_NAME, "messages": []}, param="messages")


@pytest.mark.parametrize("length, is_served", [
    (WINDOW - 1, True), (WINDOW, False), (WINDOW + 1, False), (10 * WINDOW, False)])
def test_a_prompt_at_the_window_and_beyond(server, length, is_served):
    body = {"model": MODEL_NAME, "prompt": [100] * length, "max_tokens": 1}
    if is_served:
        status, _, answer = post(server, body, COMPLETIONS)
        assert status == 200, answer
        assert json.loads(answer)["usage"]["prompt_tokens"] == length
    else:
        refused(server, body, COMPLETIONS, saying=[str(WINDOW), str(length)], code="context_length_exceeded")
