"""The envelope: which messages are answered, in which shape, and that no message harms another client."""
import json
import os
import re
import signal

import zmq
from harness import PATIENCE, PROBE, ContractCase, main, wait_until

CONFIG = """
[watcher.Web]
cmd = "@PROBE@"
numprocesses = 2
"""
QUERY = {"id": "q", "command": "numwatchers"}


class MessagesTest(ContractCase):
    config = CONFIG

    def setUp(self):
        super().setUp()
        self.client, self.other = self.daemon.new_client(), self.daemon.new_client()
        self.arbiter = self.daemon.arbiter

    def tearDown(self):
        """The same arbiter has answered everybody, each once."""
        self.assertEqual(self.other.ok("numwatchers")["numwatchers"], 1)
        self.assertEqual(self.client.ok("numwatchers")["numwatchers"], 1)
        self.assertEqual((self.client.socket.poll(0), self.other.socket.poll(0)), (0, 0))
        self.assertEqual(self.daemon.arbiter, self.arbiter)
        super().tearDown()

    def answer_to(self, text):
        self.client.send(text)
        return self.client.receive()

    def test_WhiteSpaceAroundAMessageIsNothingAndAloneIsNoMessage(self):
        self.assertEqual(self.answer_to(f" \r\n\t{json.dumps(QUERY)}\n ")["numwatchers"], 1)
        for text in ("", " ", "\n\t\r\n "):
            self.client.send(text)

    def test_WhatIsNoJsonIsErrnoOneWithoutAnId(self):
        for text in ("{", "}", '{"id": "x", "command": "list"', '{"id": 1,}', "{'a': 1}", '"abc', "NaN", '{"id": NaN}',
                     '{"id": Infinity}', "list", b"\xff\xfe{", b'{"id":"\xff","command":"list"}',
                     b'{"id":"\xed\xa0\x80","command":"list"}', '{"id":"\\ud800","command":"list"}',
                     '{"id":"\\udc00\\ud800","command":"list"}', b"\x00", b"\x00\x01", b'{"id":"\x00"}',
                     '{"command":"list"} {}', json.dumps(QUERY) + "x", "[" * 20000, "[" * 20000 + "]" * 20000,
                     '{"id":' + '{"a":' * 20000 + "1" + "}" * 20001, '{"x":"' + "[" * 20000):
            answer = self.answer_to(text)
            self.assert_error(answer, 1, "json invalid")
            self.assertIsNone(answer["id"], text[:50])
            self.assertIsNone(answer["tb"])
            self.other.ok("numwatchers")

    def test_WhatIsNoCommandIsErrnoThree(self):
        for text in ("[]", "3", '"x"', "null", "true", "[" * 200 + "]" * 200, '[{"command": "list"}]'):
            self.assert_error(self.answer_to(text), 3, "message invalid: not an object")
        for text in ("{}", '{"id": [1]}', '{"Command": "list"}', '{"id": [1], "properties": {"command": "list"}}'):
            answer = self.answer_to(text)
            self.assert_error(answer, 3, "message invalid 'command' is missing")
            self.assertEqual(answer["id"], json.loads(text).get("id"))

    def test_BracketsInsideAStringAreNoNesting(self):
        text = json.dumps({"id": "[" * 20000 + "\\\"" + "{" * 20000, "command": "numwatchers"})
        self.assertEqual(self.answer_to(text)["id"], json.loads(text)["id"])

    def test_CommandsAreFoundWithoutCaseAndToldAsTheyCame(self):
        for command in ("numwatchers", "NUMWATCHERS", "NumWatchers"):
            self.assertEqual(self.client.ok(command)["numwatchers"], 1)
        for command, shown in (("Nope", "'Nope'"), ("", "''"), (" list", "' list'"), ("a\0b", "'a\\x00b'"),
                               ("it's", '"it\'s"'), ("ü\n", "'ü\\n'"), ("ipython", "'ipython'")):
            self.assert_error(self.client.ask(command), 2, f"unknown command: {shown}")

    def test_AnIdComesBackAsItCameToTheLastDigit(self):
        for raw in ("null", "true", "0", "-0.0", "1e300", "12345678901234567890123",
                    "0.1000000000000000055511151231257827", '""', '"\\u00fc\\n"', '[1, {"a" : null}]',
                    '{"b":[true]}', '"' + "9" * 5000 + '"'):
            self.client.send(f'{{"command": "numwatchers", "id": {raw}}}')
            self.assertIn(f'"id":{raw}}}'.encode(), self.client.socket.recv())

    def test_UnknownMembersAndPropertiesAreIgnored(self):
        answer = self.answer_to(json.dumps(QUERY | {"x": [1], "msg_type": "command",
                                                    "properties": {"nothing": {"a": 1}}}))
        self.assertEqual(sorted(answer), ["id", "numwatchers", "status", "time"])
        self.assertEqual(self.answer_to(json.dumps(QUERY | {"properties": None}))["numwatchers"], 1)

    def test_OfAMemberThatIsThereTwiceTheLastCounts(self):
        answer = self.answer_to('{"id": 1, "command": "nope", "id": 2, "command": "numwatchers", "\\u0069d": 3}')
        self.assertEqual((answer["id"], answer["numwatchers"]), (3, 1))

    def test_ALargeMessageIsAnsweredAndDelaysNobodyForGood(self):
        big = "y" * 3_000_000
        self.client.send(json.dumps(QUERY | {"x": big}))
        self.other.ok("numwatchers")
        self.assertEqual(self.client.receive()["numwatchers"], 1)
        self.assertEqual(self.answer_to(json.dumps({"id": big, "command": "list"}))["id"], big)
        self.assert_error(self.client.ask("list", name=big), 3, f"program {big} not found")
        self.assert_error(self.client.ask("stop", name="[" * 100000), 3, lambda text: text.endswith(" not found"))

    def test_AnyOtherCountOfFramesIsDroppedWithoutAnAnswer(self):
        query = json.dumps(QUERY)
        for frames in (("", query), (query, ""), (query, query), ("", "", query), [query] * 100):
            self.client.send(*frames)
        self.assertEqual(self.client.ok("numwatchers")["numwatchers"], 1)

    def test_AReqSocketGetsNoAnswerAndHarmsNobody(self):
        with self.daemon.context.socket(zmq.REQ) as asker:
            asker.setsockopt(zmq.LINGER, 0)
            asker.connect(self.daemon.endpoint)
            asker.send_string(json.dumps(QUERY))
            self.client.ok("numwatchers")
            self.assertEqual(asker.poll(100), 0)

    def test_AnIdentityMayBeAnyBytesAndTwoOfTheSameHarmNobodyElse(self):
        query = json.dumps(QUERY)
        with self.daemon.context.socket(zmq.DEALER) as first, self.daemon.context.socket(zmq.DEALER) as second:
            for dealer in (first, second):
                dealer.setsockopt(zmq.LINGER, 0)
                dealer.setsockopt(zmq.IDENTITY, b"\xff\x00\n\x80 id")
            first.connect(self.daemon.endpoint)
            first.send_string(query)
            self.assertEqual(first.recv_json()["numwatchers"], 1)
            second.connect(self.daemon.endpoint)
            second.send_string(query)
            self.other.ok("numwatchers")
            first.send_string(query)
            self.assertEqual(first.recv_json()["numwatchers"], 1)

    def test_RequestsInARowAreAnsweredInTheirOrderEachOnce(self):
        for start in range(0, 4000, 500):  # below what ZMQ's queues hold for one that does not read yet
            for number in range(start, start + 500):
                self.client.send(json.dumps(QUERY | {"id": number}))
            self.assertEqual([self.client.receive()["id"] for _ in range(500)], list(range(start, start + 500)))

    def test_AClientThatDoesNotReadOrGoesAwayKeepsNobodyWaiting(self):
        silent = self.daemon.new_client()
        silent.socket.setsockopt(zmq.SNDTIMEO, 200)
        silent.socket.setsockopt(zmq.RCVHWM, 10)
        try:
            for _ in range(20000):
                silent.send(json.dumps({"id": "z" * 500, "command": "options", "properties": {"name": "web"}}))
        except zmq.Again:
            pass  # its own queue is full
        self.other.ok("numwatchers")
        silent.close()
        self.assertEqual(self.other.ok("list")["watchers"], ["web"])

    def test_CastsAreNeverAnswered(self):
        for command, properties in (("numwatchers", {}), ("nope", {}), ("list", {"name": "zz"}), ("options", {}),
                                    ("set", {"name": "web", "options": []}),
                                    ("incr", {"name": "web", "waiting": True})):
            self.client.cast(command, **properties)
        self.client.send('{"msg_type": "cast", "id": 1}')
        self.client.send('{"msg_type": "cast", "command": 1}')
        self.client.cast("decr", name="web")
        self.daemon.wait_active("web", 2)
        # Only what says cast is one.
        for kind in ("CAST", "call", None, ["cast"], {"cast": 1}):
            self.assertEqual(self.answer_to(json.dumps(QUERY | {"msg_type": kind}))["numwatchers"], 1)


class FloodTest(ContractCase):
    """Clients that ask a lot before they read, or never do."""

    config = CONFIG

    def client_without_room(self):
        """Nothing waits on its own side but what the kernel's buffers take."""
        context = zmq.Context()
        self.addCleanup(context.term)
        socket = context.socket(zmq.DEALER)
        self.addCleanup(socket.close, 0)
        for option, value in ((zmq.SNDHWM, 0), (zmq.RCVHWM, 1)):
            socket.setsockopt(option, value)
        socket.connect(self.daemon.endpoint)
        return socket

    def ask(self, socket, number, command, **properties):
        socket.send(json.dumps({"id": number, "command": command, "properties": properties}).encode())

    def answer(self, socket):
        self.assertTrue(socket.poll(PATIENCE * 1000), "no answer")
        return json.loads(socket.recv())

    def test_TenThousandRequestsAtOnceAreAllAnsweredInOrderAndOthersMeanwhile(self):
        flood = self.client_without_room()
        for number in range(10000):
            self.ask(flood, number, "options", name="web")
        self.ask(flood, 10000, "incr", name="web")
        wait_until(lambda: self.daemon.client.ok("numprocesses", name="web")["numprocesses"] == 3,
                   PATIENCE * 4)  # all were read
        for number in range(10001):
            answer = self.answer(flood)
            self.assertEqual((answer["id"], answer["status"]), (number, "ok"))

    def test_WhoNeverReadsCostsBoundedMemoryAndNobodyElseAnything(self):
        deaf, late = self.client_without_room(), self.client_without_room()
        self.daemon.client.ok("add", name="big", cmd="sleep", args=["x" * 100000])
        for number in range(500):
            self.ask(late, number, "options", name="web")
        for number in range(1500):
            self.ask(deaf, number, "options", name="big")  # 150 MB
        self.ask(deaf, 1500, "incr", name="web")
        wait_until(lambda: self.daemon.client.ok("numprocesses", name="web")["numprocesses"] == 3, PATIENCE * 4)
        with open(f"/proc/{self.daemon.arbiter}/status") as status:
            self.assertLess(int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]), 130 * 1024)
        self.assertEqual([self.answer(late)["id"] for number in range(500)], list(range(500)))
        # What there was room for comes as soon as it reads, in order, and it is served as before.
        self.assertEqual([self.answer(deaf)["id"] for number in range(500)], list(range(500)))
        self.ask(deaf, "again", "numwatchers")
        while self.answer(deaf)["id"] != "again":
            pass

    def test_NobodyWaitsForMoreEndsThanThereIsRoomFor(self):
        other = self.daemon.new_client()
        other.ok("add", name="slow", cmd=PROBE, args=["--ignore", "15", "--report", self.daemon.reports],
                 start=True, waiting=True, options={"graceful_timeout": 60})
        pid = self.daemon.wait_active("slow", 1)[0]
        self.daemon.report(pid)
        flood = self.client_without_room()
        for number in range(5010):
            self.ask(flood, number, "stop", name="slow", waiting=True)
        for number in range(5000, 5010):
            answer = self.answer(flood)
            self.assertEqual((answer["id"], answer["errno"]), (number, 5))
            self.assertIn("too many requests of this client", answer["reason"])
        # Others wait as ever, and all is well once the watcher has stopped.
        other.send(json.dumps({"id": "other", "command": "stop", "properties": {"name": "slow", "waiting": True}}))
        os.kill(pid, signal.SIGKILL)
        self.assertEqual((other.receive()["id"]), "other")
        self.assertEqual({self.answer(flood)["id"] for number in range(5000)}, set(range(5000)))
        self.ask(flood, "again", "stop", name="slow", waiting=True)
        self.assertEqual(self.answer(flood)["status"], "ok")


if __name__ == "__main__":
    main()
