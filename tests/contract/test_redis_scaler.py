"""sdk/examples/cpp/redis_scaler.cc, a policy of one's own, with a real Redis: consumers of a list, which have no socket of
circusd's, become more when it is long and fewer when it is short, and no job is lost on the way."""
import shutil
import socket
import unittest

from harness import BUILD, ContractCase, free_port, main_or_skipped, wait_until

REDIS = shutil.which("redis-server", path="/usr/local/bin:/usr/bin:/bin")
PATIENT = 60  # seconds: what takes a few, on a loaded machine
JOBS = 150

# Takes a job, works on it for 0.1 s, says that it is done; at SIGTERM it takes no more.
CONSUMER = """
import signal, socket, sys, time
ending = False

def end(*_):
    global ending
    ending = True

def ask(*words):
    link.sendall(b"*%d\\r\\n" % len(words) + b"".join(b"$%d\\r\\n%s\\r\\n" % (len(word), word) for word in words))

def job():
    ask(b"BLPOP", b"jobs", b"1")
    if answers.readline() == b"*-1\\r\\n":
        return None
    return [answers.readline() for _ in range(4)][3].rstrip()

signal.signal(signal.SIGTERM, end)
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as link:
    answers = link.makefile("rb")
    while not ending:
        taken = job()
        if taken is not None:
            time.sleep(0.1)
            ask(b"RPUSH", b"done", taken)
            answers.readline()
"""


@unittest.skipUnless(REDIS, "no redis-server here")
class RedisScaler(ContractCase):
    isolate = False

    def stack(self):
        self.port = free_port()
        daemon = self.new_daemon(f"""
[watcher.redis]
cmd = "{REDIS} --port {self.port} --bind 127.0.0.1 --save '' --appendonly no"
working_dir = "@DIR@"
ready = {{tcp = "127.0.0.1:{self.port}"}}

[watcher.worker]
cmd = "/usr/bin/python3 @DIR@/consumer.py {self.port}"
depends_on = ["redis"]
graceful_timeout = 20

[plugin.scaler]
use = "{BUILD}/tests/plugins/redis_scaler.so"
isolate = {"true" if self.isolate else "false"}
port = {self.port}
interval = 0.1
most = 5
patience = 3
""")
        with open(f"{daemon.directory}/consumer.py", "w", encoding="utf-8") as file:
            file.write(CONSUMER)
        daemon.start()
        daemon.wait_active("worker", 1)
        return daemon

    def redis(self, *words):
        """The answer, of whatever type: a number, or an array of texts."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as link:
            link.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
            answers = link.makefile("rb")
            first = answers.readline().rstrip()
            self.assertIn(first[:1], (b":", b"*"), first)
            if first[:1] == b":":
                return int(first[1:])
            return [[answers.readline().rstrip() for _ in range(2)][1] for _ in range(int(first[1:]))]

    def count(self, daemon):
        return daemon.client.ok("get", name="worker", keys=["numprocesses"])["options"]["numprocesses"]

    def test_ConsumersFollowTheLengthOfTheListAndLoseNoJob(self):
        daemon = self.stack()
        events = daemon.new_events("worker")
        self.addCleanup(events.close)
        first = daemon.pids("worker")
        for turn in (1, 2):
            jobs = [b"%d-%d" % (turn, number) for number in range(JOBS)]
            self.redis(b"RPUSH", b"jobs", *jobs)
            # 150 jobs are work for more than `most`, and the list only becomes shorter.
            wait_until(lambda turn=turn: events.names("worker").count("spawn") == 4 * turn, PATIENT, daemon.log_tail)
            wait_until(lambda turn=turn: self.redis(b"LLEN", b"done") == turn * JOBS, PATIENT,
                       lambda: f"{self.redis(b'LLEN', b'done')} done\n{daemon.log_tail()}", pause=0.05)
            wait_until(lambda: self.count(daemon) == 1 and daemon.pids("worker") == first, PATIENT, daemon.log_tail)
            done = self.redis(b"LRANGE", b"done", b"%d" % (-JOBS), b"-1")
            self.assertEqual(sorted(done), sorted(jobs))
        self.assertEqual(events.names("worker").count("spawn"), 8)
        self.assertEqual(events.names("worker").count("reap"), 8)
        self.assertEqual(daemon.client.ok("plugins")["plugins"]["scaler"]["errors"], 0)


class RedisScalerIsolated(RedisScaler):
    isolate = True


if __name__ == "__main__":
    main_or_skipped()
