"""The wire by itself, pyzmq and json: nothing of circusd's own code is used to talk to it."""
import contextlib
import json

import zmq

from waiting import PATIENCE, NotReached, holds_for, wait_quietly, wait_until


class Client:
    """A DEALER as Circus's clients are: one frame out, one frame in."""

    def __init__(self, context, endpoint):
        self.socket = context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(endpoint)
        self.count = 0

    def close(self):
        self.socket.close()

    def send(self, *frames):
        self.socket.send_multipart([frame if isinstance(frame, bytes) else frame.encode() for frame in frames])

    def receive(self, patience=PATIENCE):
        """The next answer as an object; NotReached when none comes."""
        if not self.socket.poll(int(patience * 1000)):
            raise NotReached(f"no answer within {patience} s")
        frames = self.socket.recv_multipart()
        if len(frames) != 1:
            raise AssertionError(f"an answer of {len(frames)} frames: {frames!r}")
        return json.loads(frames[0])

    def ask(self, command, patience=PATIENCE, **properties):
        """The answer to a command, ok or error; its id is checked."""
        self.count += 1
        tag = f"q{self.count}"
        self.send(json.dumps({"id": tag, "command": command, "properties": properties}))
        answer = self.receive(patience)
        if answer.get("id") != tag:
            raise AssertionError(f"the answer to {tag} carries another id: {answer}")
        return answer

    def ok(self, command, patience=PATIENCE, **properties):
        answer = self.ask(command, patience, **properties)
        if answer.get("status") != "ok":
            raise AssertionError(f"{command} {properties}: {answer}")
        return answer

    def cast(self, command, **properties):
        self.send(json.dumps({"id": "cast", "command": command, "properties": properties, "msg_type": "cast"}))


class Events:
    """Everything published since the last clear(), in order, as (watcher, event, payload)."""

    def __init__(self, context, endpoint, topic=b""):
        self.socket = context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 20)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.setsockopt(zmq.SUBSCRIBE, topic)
        self.socket.connect(endpoint)
        self.seen = []
        self.deaths = []  # (watcher, payload): these come whenever the record of a death is complete

    def close(self):
        self.socket.close()

    def collect(self):
        with contextlib.suppress(zmq.Again):
            while True:
                topic, payload = self.socket.recv_multipart(zmq.NOBLOCK)
                word, _, rest = topic.decode().partition(".")
                if word == "watcher":  # else a plugin's, or of a plugin
                    watcher, event = rest.split(".", 1)
                    if event == "death":
                        self.deaths.append((watcher, json.loads(payload)))
                    else:
                        self.seen.append((watcher, event, json.loads(payload)))
        return self.seen

    def clear(self):
        self.collect()
        self.seen.clear()

    def names(self, watcher):
        return [event for name, event, _ in self.collect() if name == watcher]

    def of(self, watcher, event):
        return [payload for name, what, payload in self.collect() if (name, what) == (watcher, event)]

    def deaths_of(self, watcher):
        self.collect()
        return [payload for name, payload in self.deaths if name == watcher]

    def wait_for(self, watcher, event, count=1):
        wait_until(lambda: len(self.of(watcher, event)) >= count,
                   what=lambda: f"{count} x {watcher}.{event}; seen: {[entry[:2] for entry in self.seen]}")
        return self.of(watcher, event)

    def subscribe_surely(self, client, watcher):
        """A subscription takes effect some time after it was asked for: provoke until something comes."""
        value = client.ok("get", name=watcher, keys=["warmup_delay"])["options"]["warmup_delay"]

        def provoked():
            client.ok("set", name=watcher, options={"warmup_delay": value}, waiting=True)
            return wait_quietly(lambda: self.names(watcher), 0.1)
        wait_until(provoked, what="the first event")
        # What was provoked is still coming in: a marker of another kind ends it.
        before = len(self.names(watcher))
        client.ok("set", name=watcher, options={"warmup_delay": value}, waiting=True)
        wait_until(lambda: len(self.names(watcher)) > before)
        holds_for(lambda: True, 0.1)
        self.clear()
