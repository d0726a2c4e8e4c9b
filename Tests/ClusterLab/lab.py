"""Machines of a laboratory: network namespaces on a switch, each with a node as a process of its own.

Each machine has two links: `data` (10.77.0.N), which carries everything between nodes and can be cut, and `desk`
(10.78.0.N), where the test talks to the node's API whatever happens to the other one. Run inside a network and mount
namespace of its own, as Scripts/cluster-test.sh does.
"""

import base64
import json
import os
import signal
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request
import zlib

import openai

from node import BINARY, processes, wait_until

API_PORT, CLUSTER_PORT = 7534, 7535
#: Seconds a node may take to answer its first request; the machine may be busy.
START_SECONDS = 30
STOP_SECONDS = 15
ANSWER_SECONDS = 60


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


class Switch:
    """Two bridges for the data links, so that the machines can be parted, and one for the desk links."""

    def __init__(self):
        # Names of network namespaces live in this mount namespace only.
        run("mount", "-t", "tmpfs", "none", "/run")
        os.makedirs("/run/netns", exist_ok=True)
        run("ip", "link", "set", "lo", "up")
        for name in ("left", "right", "desk"):
            run("ip", "link", "add", name, "type", "bridge")
            run("ip", "link", "set", name, "up")
        run("ip", "address", "add", "10.78.0.254/24", "dev", "desk")

    def part(self, machines):
        """Moves machines to the other bridge: they reach each other, and nobody else."""
        for machine in machines:
            run("ip", "link", "set", f"d{machine.number}", "master", "right")

    def heal(self, machines):
        for machine in machines:
            run("ip", "link", "set", f"d{machine.number}", "master", "left")


class Machine:
    """A network namespace and the node in it."""

    def __init__(self, number, folder):
        self.number, self.folder = number, folder
        self.name = f"m{number}"
        self.data_address, self.desk_address = f"10.77.0.{number}", f"10.78.0.{number}"
        self.url = f"http://{self.desk_address}:{API_PORT}"
        self.process, self.starts = None, 0
        run("ip", "netns", "add", self.name)
        for prefix, bridge, address in (("d", "left", self.data_address), ("k", "desk", self.desk_address)):
            outer, inner = f"{prefix}{number}", f"{prefix}{number}i"
            run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner)
            run("ip", "link", "set", inner, "netns", self.name)
            run("ip", "link", "set", outer, "master", bridge, "up")
            self.ip("address", "add", f"{address}/24", "dev", inner)
            self.ip("link", "set", inner, "up")
        self.ip("link", "set", "lo", "up")

    def ip(self, *arguments):
        run("ip", "netns", "exec", self.name, "ip", *arguments)

    def unplug(self):
        """The data cable is pulled: nobody is told."""
        run("ip", "link", "set", f"d{self.number}", "down")

    def plug_in(self):
        run("ip", "link", "set", f"d{self.number}", "up")

    # Life

    def launch(self, *arguments):
        """Starts `skein serve` or `skein join`; what it writes goes to files of its own."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.starts += 1
        environment = dict(
            os.environ, XDG_CACHE_HOME=str(self.folder / "cache"), SKEIN_HOME=str(self.folder / "data"),
            NO_PROXY="*")
        command = [
            "ip", "netns", "exec", self.name, str(BINARY), *map(str, arguments),
            "--listen", f"{self.desk_address}:{API_PORT}", "--no-auth", "--allow-host", self.desk_address,
            "--cluster-listen", f"{self.data_address}:{CLUSTER_PORT}", "--node-name", self.name,
            # All machines of the laboratory share the cores of this one.
            "--threads", "1", "--log-level", "debug"]
        with open(self.folder / f"log{self.starts}", "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        return self

    @property
    def log(self):
        return (self.folder / f"log{self.starts}").read_text(errors="replace")

    def wait_for_api(self):
        def answers():
            assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}: {self.log}"
            return self.get("/healthz") is not None

        wait_until(answers, START_SECONDS, f"the API of {self.name} ({self.log[-1000:]})")
        return self

    def kill(self):
        """As by a power cut: nothing is said to anybody. (`ip netns exec` becomes the node itself.)"""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(STOP_SECONDS) == 0, f"{self.name}: {self.log[-2000:]}"

    def destroy(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOP_SECONDS)

    @property
    def runners(self):
        return [p for p in processes().values() if p.parent == self.process.pid and p.is_runner]

    # The API

    def ask(self, method, path, body=None, seconds=ANSWER_SECONDS):
        """Status and body, whatever the status; raises OSError when nobody answers."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def get(self, path):
        """The body of a successful answer; nil otherwise."""
        try:
            status, body = self.ask("GET", path, seconds=5)
        except (OSError, ValueError):
            return None
        return body if status == 200 else None

    @property
    def state(self):
        return self.get("/cluster/v1/state") or {"nodes": [], "deployments": [], "leadership": {}, "index": 0}

    @property
    def id(self):
        return wait_until(lambda: self.state.get("node"), START_SECONDS, f"the id of {self.name}")

    def deployment(self, name):
        return next((d for d in self.state["deployments"] if d["name"] == name), {"state": "gone", "placements": []})

    def create_ticket(self, **wish):
        status, body = self.ask("POST", "/cluster/v1/tokens", wish)
        assert status == 201, body
        return body["line"].removeprefix("skein join ")

    def deploy(self, **wish):
        status, body = self.ask("POST", "/cluster/v1/deployments?wait=ready", wish)
        assert status == 200, (body, self.deployment(wish["name"]))
        return body

    @property
    def client(self):
        return openai.OpenAI(
            base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=ANSWER_SECONDS,
            _strict_response_validation=True)

    def chat(self, model, question, **fields):
        fields.setdefault("temperature", 0)
        answer = self.client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": question}], **fields)
        return answer.choices[0].message.content

    def look(self, model, image):
        """What a model says of an image file; the same every time."""
        url = f"data:image/png;base64,{base64.b64encode(image).decode()}"
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What do you see?"}]
        answer = self.client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": content}], temperature=0, max_tokens=8, seed=1)
        return answer.choices[0].message.content

    def has_fetched(self, digest):
        """Whether a whole file of another machine is in this one's cache."""
        return (self.folder / "cache" / "skein" / "models" / f"{digest}.gguf").exists()


def picture():
    """A PNG file of 16 by 16 pixels in stripes."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    row = b"\0" + b"\xff\xff\xff\0\0\0" * 8
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)) + chunk(
        b"IDAT", zlib.compress(row * 16)) + chunk(b"IEND", b"")


class Load:
    """A client that asks one question after the other until it is told to stop, and counts what became of them."""

    def __init__(self, machine, model, question, **fields):
        self.machine, self.model, self.question, self.fields = machine, model, question, fields
        self.answers, self.failures, self.longest = [], [], 0.0
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.work)

    def work(self):
        while not self.is_over.is_set():
            began = time.monotonic()
            try:
                self.answers.append(self.machine.chat(self.model, self.question, **self.fields))
            except openai.OpenAIError as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                time.sleep(0.05)
            self.longest = max(self.longest, time.monotonic() - began)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join(ANSWER_SECONDS + 5)


def leader_of(machines):
    """The machine that a majority of these says leads; nil when they do not agree."""
    said = [machine.state["leadership"].get("leader") for machine in machines]
    if not said or any(leader is None or leader != said[0] for leader in said):
        return None
    return next((machine for machine in machines if machine.state.get("node") == said[0]), None)


def agreed_leader_of(machines, seconds=30):
    """The same, once they agree: while the voters vote, or when a machine takes long to answer, they do not."""
    return wait_until(lambda: leader_of(machines), seconds, "a leader all agree on")
