"""/tokenize, /detokenize and /apply-template: what the vocabulary and the template of the entry stage say."""

import json

import pytest

from node import MODEL_NAME
from questions import CAPITAL, STORY, WEATHER, WEATHER_TOOL
from sse import post

TEXTS = ["Hello", " hello  world\n", "你好 🪿 ünïcödé", "a" * 5000, "<|im_start|>user", "", "\u0000\u0001"]


def asked(node, path, body):
    status, _, answer = post(node, body, path)
    assert status == 200, answer
    return json.loads(answer)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back_from_its_tokens(server, text):
    tokens = asked(server, "/tokenize", {"content": text})["tokens"]
    assert asked(server, "/detokenize", {"tokens": tokens})["content"] == text
    pieces = asked(server, "/tokenize", {"content": text, "with_pieces": True})["tokens"]
    assert [entry["id"] for entry in pieces] == tokens
    spelled = b"".join(
        entry["piece"].encode() if isinstance(entry["piece"], str) else bytes(entry["piece"]) for entry in pieces)
    assert spelled.decode() == text


def test_every_cut_says_the_same(served):
    body = {"content": "".join(TEXTS), "add_special": True, "with_pieces": True}
    first, *others = [asked(served(stages), "/tokenize", body) for stages in (1, 2, 3)]
    assert all(other == first for other in others)


def test_characters_of_several_tokens_are_told_by_their_bytes(served):
    pieces = asked(served(1), "/tokenize", {"content": "🚀", "with_pieces": True})["tokens"]
    assert len(pieces) > 1 and all(isinstance(entry["piece"], list) for entry in pieces)
    assert bytes(byte for entry in pieces for byte in entry["piece"]).decode() == "🚀"


def test_control_tokens_count_unless_they_are_not_to(served):
    node = served(1)
    prompt = asked(node, "/apply-template", {"messages": [{"role": "user", "content": "Hi"}]})["prompt"]
    with_control = asked(node, "/tokenize", {"content": prompt})["tokens"]
    without = asked(node, "/tokenize", {"content": prompt, "parse_special": False})["tokens"]
    assert len(without) > len(with_control)
    assert asked(node, "/detokenize", {"tokens": with_control})["content"] == prompt
    assert asked(node, "/detokenize", {"tokens": without})["content"] == prompt


def test_texts_and_tokens_may_be_mixed(served):
    node = served(1)
    [one, two] = [asked(node, "/tokenize", {"content": text})["tokens"] for text in ("Hello", " world")]
    assert asked(node, "/tokenize", {"content": ["Hello", 7, " world"]})["tokens"] == [*one, 7, *two]


@pytest.mark.parametrize("fields", [
    {}, {"tools": [WEATHER_TOOL]}, {"chat_template_kwargs": {"enable_thinking": False}}, {"enable_thinking": True},
], ids=["plain", "tools", "not-thinking", "thinking"])
def test_a_template_is_what_a_chat_is_given(server, fields):
    """The prompt as text, tokenised, is as long as the prompt the chat counts, and answers the same."""
    body = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": WEATHER}]} | fields
    prompt = asked(server, "/apply-template", body)["prompt"]
    tokens = asked(server, "/tokenize", {"content": prompt, "add_special": True})["tokens"]
    chat = asked(server, "/v1/chat/completions", {"model": MODEL_NAME, "temperature": 0, "max_tokens": 4} | body)
    assert chat["usage"]["prompt_tokens"] == len(tokens)
    assert ("get_weather" in prompt) == ("tools" in fields)


def test_a_zero_byte_ends_neither_a_message_nor_the_conversation(served):
    node = served(1)
    turns = [{"role": "user", "content": "before\u0000after"}, {"role": "user", "content": CAPITAL}]
    prompt = asked(node, "/apply-template", {"messages": turns})["prompt"]
    assert "before\u0000after" in prompt and CAPITAL in prompt
    chat = asked(node, "/v1/chat/completions", {"model": MODEL_NAME, "max_tokens": 1, "messages": turns})
    short = asked(node, "/v1/chat/completions", {"model": MODEL_NAME, "max_tokens": 1, "messages": turns[1:]})
    assert chat["usage"]["prompt_tokens"] > short["usage"]["prompt_tokens"]


@pytest.mark.parametrize("arguments, shown", [("", "{}"), (" ", "{}"), ('{"city": "Par', "Par"), ("[7]", "[7]")])
def test_a_call_with_bad_arguments_does_not_end_the_conversation(served, arguments, shown):
    node = served(1)
    call = {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    turns = [
        {"role": "user", "content": WEATHER}, {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "These are no arguments."},
        {"role": "user", "content": CAPITAL}]
    body = {"model": MODEL_NAME, "max_tokens": 4, "messages": turns, "tools": [WEATHER_TOOL]}
    assert asked(node, "/v1/chat/completions", body)["choices"]
    prompt = asked(node, "/apply-template", {"messages": turns})["prompt"]
    assert shown in prompt.split('"arguments": ')[-1]


def test_a_rendered_prompt_gets_the_chats_answer(server):
    body = {"messages": [{"role": "user", "content": CAPITAL}], "enable_thinking": False}
    prompt = asked(server, "/apply-template", body)["prompt"]
    completion = asked(
        server, "/v1/completions", {"model": MODEL_NAME, "prompt": prompt, "temperature": 0, "max_tokens": 96})
    chat = asked(server, "/v1/chat/completions", {"model": MODEL_NAME, "temperature": 0} | body)
    assert completion["choices"][0]["text"] == chat["choices"][0]["message"]["content"]


def test_it_takes_no_lane_and_may_be_longer_than_the_window(served):
    node = served(1)
    tokens = asked(node, "/tokenize", {"content": STORY * 20_000})["tokens"]
    assert len(tokens) > 100_000
    node.wait_until_idle()


@pytest.mark.parametrize("path, body, status, param", [
    ("/tokenize", {}, 400, "content"), ("/tokenize", {"content": {}}, 400, "content"),
    ("/tokenize", {"content": ["a", 2_000_000_000]}, 400, "content[1]"),
    ("/tokenize", {"content": "a", "model": "nonesuch"}, 404, "model"),
    ("/tokenize", {"content": "a" * (4 << 20) + "a"}, 400, "content"),
    ("/detokenize", {}, 400, "tokens"), ("/detokenize", {"tokens": [5, -1]}, 400, "tokens[1]"),
    ("/detokenize", {"tokens": [5, 2_000_000_000]}, 400, "tokens[1]"),
    ("/detokenize", {"tokens": [0] * ((1 << 18) + 1)}, 400, "tokens"),
    ("/apply-template", {}, 400, "messages"), ("/apply-template", {"messages": []}, 400, "messages"),
    ("/apply-template", {"messages": [{"role": "user"}]}, 400, "messages[0].content"),
])
def test_what_is_wrong_is_named(served, path, body, status, param):
    got, _, answer = post(served(1), body, path)
    assert got == status, answer
    assert json.loads(answer)["error"]["param"] == param
