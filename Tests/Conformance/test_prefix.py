"""Kept prefixes: what an earlier prompt has in common with a new one is not computed again."""

import pytest
from conftest import client_of
from node import MODEL_NAME

LONG = "You are a careful assistant. " + "Remember that Ada likes geese and rivers. " * 12


@pytest.fixture(params=[1, 2], ids=lambda stages: f"{stages}-stages")
def client(request, own_node):
    """A node of the test's own, as `skein serve` starts it: nothing is kept in it yet."""
    return client_of(own_node("--stages", request.param, "--threads", 1))


def ask(client, messages, **extra):
    return client.chat.completions.create(
        model=MODEL_NAME, messages=messages, temperature=0, max_tokens=24, extra_body=extra)


def cached(answer):
    return answer.usage.prompt_tokens_details.cached_tokens


def test_a_conversation_computes_only_its_new_turn(client):
    messages = [{"role": "system", "content": LONG}, {"role": "user", "content": "What is the capital of Peru?"}]
    first = ask(client, messages)
    assert cached(first) == 0
    messages += [
        {"role": "assistant", "content": first.choices[0].message.content},
        {"role": "user", "content": "And of France?"}]
    second = ask(client, messages)
    assert cached(second) >= first.usage.prompt_tokens * 0.9
    assert second.usage.prompt_tokens > cached(second)
    # The same turn in other words: the beginning is still shared.
    other = ask(client, messages[:-1] + [{"role": "user", "content": "Thank you."}])
    assert cached(other) >= first.usage.prompt_tokens * 0.9


def test_a_seed_or_the_request_itself_turns_it_off(client):
    messages = [{"role": "user", "content": LONG}]
    ask(client, messages)
    assert cached(ask(client, messages)) > 0
    assert cached(ask(client, messages, seed=3)) == 0
    assert cached(ask(client, messages, cache_prompt=False)) == 0
    assert cached(ask(client, messages, seed=3, cache_prompt=True)) > 0


def test_seeded_answers_come_again(client):
    def sample(seed):
        messages = [{"role": "user", "content": "Tell me a story about a fox and a lamp."}]
        answer = client.chat.completions.create(
            model=MODEL_NAME, messages=messages, temperature=1.5, seed=seed, max_tokens=40)
        return answer.choices[0].message.content

    assert [sample(seed) for seed in (1, 2, 3)] == [sample(seed) for seed in (1, 2, 3)]
