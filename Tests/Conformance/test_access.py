"""Keys, exposure and origins, by the command line and the real node."""

import json
import os
import stat
import subprocess
import urllib.error
import urllib.request

import anthropic
import ollama
import openai
import pytest

from node import BINARY, MODEL_NAME, Node, wait_until
from questions import CAPITAL, CAPITAL_ANSWER, request

USAGE, FAILED = 2, 1


class Keys:
    """`skein key` on the data directory of a node that may not run yet."""

    def __init__(self, node):
        self.folder = node.folder / "data"

    def run(self, *arguments):
        environment = dict(os.environ, SKEIN_HOME=str(self.folder))
        return subprocess.run(
            [BINARY, "key", *[str(a) for a in arguments]], capture_output=True, text=True, env=environment, timeout=30)

    def create(self, name, *arguments):
        made = self.run("create", "--name", name, *arguments)
        assert made.returncode == 0, made
        secret = made.stdout.strip()
        assert secret.startswith("sk-skein-") and len(secret) == 52
        return secret

    def list(self):
        return json.loads(self.run("list", "--json").stdout)


@pytest.fixture
def guarded(tmp_path):
    """A node that is not started, and its keys."""
    node = Node(tmp_path / "node", "--threads", 1)
    yield node, Keys(node)
    node.destroy()


def send(node, path, body=None, key=None, **headers):
    """(status, headers, body) of a request."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(node.url + path, data, headers | {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()


def start(node, *arguments):
    node.arguments += [str(argument) for argument in arguments]
    node.launch()
    # An address for everybody is announced as such; the tests call it by loopback.
    node.wait_for_port()
    node.host = "127.0.0.1"
    wait_until(lambda: send(node, "/readyz")[0] == 200, 30, f"readiness ({node.log[-500:]})")
    return node


def test_an_address_that_others_can_reach_needs_a_key(guarded):
    node, keys = guarded
    environment = dict(os.environ, XDG_CACHE_HOME=str(node.folder / "cache"), SKEIN_HOME=str(keys.folder))

    def serve(*arguments):
        return subprocess.run(
            [BINARY, "serve", "--listen", "0.0.0.0:0", *arguments], capture_output=True, text=True, env=environment,
            timeout=30)

    refused = serve()
    assert refused.returncode == USAGE and refused.stdout == ""
    assert "skein key create" in refused.stderr and "--no-auth" in refused.stderr
    # A key that was taken back lets nobody in, so it does not count.
    keys.create("gone")
    assert keys.run("revoke", "gone").returncode == 0
    assert serve().returncode == USAGE
    assert serve("--no-auth", "--require-key").returncode == USAGE
    assert serve("--no-auth", "--cors-origin", "chat.example/x").returncode == USAGE
    keys.create("a")
    start(node, "--listen", "0.0.0.0:0")
    assert send(node, "/v1/models")[0] == 401


def test_no_auth_lets_everybody_in_who_says_so(guarded):
    node, _ = guarded
    start(node, "--listen", "0.0.0.0:0", "--no-auth")
    assert send(node, "/v1/models")[0] == 200


def test_keys_are_kept_as_digests_for_their_owner_only(guarded):
    _, keys = guarded
    secret = keys.create("ci", "--scope", "inference", "--scope", "operate", "--expires", "30d")
    path = keys.folder / "keys.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret not in path.read_text() and secret.removeprefix("sk-skein-") not in path.read_text()
    [record] = keys.list()
    assert (record["name"], record["scopes"]) == ("ci", ["inference", "operate"])
    assert record["expires"] - record["created"] == 30 * 86_400
    assert "sha256" not in record
    assert keys.run("create", "--name", "ci").returncode == FAILED
    assert keys.run("create", "--name", "x", "--scope", "everything").returncode == USAGE
    assert keys.run("create", "--name", "x", "--expires", "soon").returncode == USAGE
    assert keys.run("create", "--name", "x", "--requests-per-minute", "0").returncode == FAILED
    assert keys.run("revoke", "nobody").returncode == FAILED
    assert "ci" in keys.run("list").stdout


def test_the_sdks_send_keys_as_each_dialect_does(guarded):
    node, keys = guarded
    secret = keys.create("sdk")
    start(node, "--require-key")
    url = node.url
    messages = [{"role": "user", "content": CAPITAL}]
    good = openai.OpenAI(base_url=f"{url}/v1", api_key=secret, max_retries=0)
    answer = good.chat.completions.create(model=MODEL_NAME, messages=messages, temperature=0)
    assert answer.choices[0].message.content == CAPITAL_ANSWER
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0).models.list()
    claude = anthropic.Anthropic(base_url=url, api_key=secret, max_retries=0)
    said = claude.messages.create(model=MODEL_NAME, max_tokens=64, messages=messages, extra_body={"temperature": 0})
    assert said.content[0].text == CAPITAL_ANSWER
    with pytest.raises(anthropic.AuthenticationError) as error:
        anthropic.Anthropic(base_url=url, api_key="none", max_retries=0).messages.create(
            model=MODEL_NAME, max_tokens=64, messages=messages)
    assert error.value.body["error"]["type"] == "authentication_error"
    llama = ollama.Client(host=url, headers={"Authorization": f"Bearer {secret}"})
    assert llama.chat(MODEL_NAME, messages, options={"temperature": 0}).message.content == CAPITAL_ANSWER
    with pytest.raises(ollama.ResponseError) as refused:
        ollama.Client(host=url).chat(MODEL_NAME, messages)
    assert refused.value.status_code == 401


def test_a_running_node_notices_new_keys_and_revoked_ones(guarded):
    node, keys = guarded
    first = keys.create("first")
    start(node, "--require-key")
    assert send(node, "/v1/models", key=first)[0] == 200
    second = keys.create("second")
    assert send(node, "/v1/models", key=second)[0] == 200
    assert keys.run("revoke", "first").returncode == 0
    assert send(node, "/v1/models", key=first)[0] == 401
    assert send(node, "/v1/models", key=second)[0] == 200
    (keys.folder / "keys.json").write_text("{")
    status, headers, _ = send(node, "/v1/models", key=second)
    assert status == 503 and headers["Retry-After"] == "10"


def test_a_key_has_its_scopes_and_its_bounds(guarded):
    node, keys = guarded
    operator = keys.create("operator", "--scope", "operate")
    slow = keys.create("slow", "--requests-per-minute", 2)
    short = keys.create("short", "--tokens-per-minute", 5)
    start(node, "--require-key")
    assert send(node, "/metrics", key=operator)[0] == 200
    assert send(node, "/v1/models", key=operator)[0] == 403
    # The router passes over slashes too many, so they open nothing.
    for path in ["/metrics", "//metrics", "/metrics/", "/cluster/v1/state", "//cluster//v1/state", "//api/pull"]:
        assert send(node, path, {} if "pull" in path else None, key=slow)[0] == 403, path
    assert [send(node, "/v1/models", key=slow)[0] for _ in range(3)] == [200, 200, 429]
    _, headers, body = send(node, "/v1/models", key=slow)
    assert 1 <= int(headers["Retry-After"]) <= 60
    assert json.loads(body)["error"]["code"] == "rate_limit_exceeded"
    # What an answer costs is known at its end; then the key waits until it is paid for.
    asked = request(CAPITAL)
    assert send(node, "/v1/chat/completions", asked, key=short)[0] == 200
    status, headers, _ = send(node, "/v1/chat/completions", asked, key=short)
    assert status == 429 and int(headers["Retry-After"]) > 60
    assert 'skein_http_errors_total{dialect="openai",code="rate_limit_exceeded"}' in send(
        node, "/metrics", key=operator)[2]
    for secret in (operator, slow, short):
        assert secret not in node.log


def test_pages_of_other_sites_are_kept_out(served):
    node = served(1)
    assert send(node, "/v1/models", Host="evil.example")[0] == 403
    assert send(node, "/v1/models", Origin="http://evil.example")[0] == 403
    status, headers, _ = send(node, "/v1/models", Origin=node.url)
    assert status == 200 and headers["Access-Control-Allow-Origin"] is None
    assert send(node, "/v1/models", Host=f"localhost:{node.port}")[0] == 200


def test_a_configured_origin_and_name_are_let_in(guarded):
    node, _ = guarded
    start(node, "--cors-origin", "https://chat.example", "--allow-host", "skein.lan")
    status, headers, _ = send(node, "/v1/models", Origin="https://chat.example")
    assert status == 200 and headers["Access-Control-Allow-Origin"] == "https://chat.example"
    assert send(node, "/v1/models", Host="skein.lan:7534")[0] == 200
    assert send(node, "/v1/models", Host="other.lan")[0] == 403
