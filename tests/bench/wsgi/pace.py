"""pace.py SECONDS: how many times a second this process does the application's work, without its wait; for measure.py, which
starts one a processor."""
import pathlib
import sys
import time
import types

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "configs/app"))
import work  # noqa: E402

work.time = types.SimpleNamespace(sleep=lambda _seconds: None)
began = now = time.monotonic()
done = 0
while now < began + float(sys.argv[1]):
    work.work()
    done += 1
    now = time.monotonic()
print(done / (now - began))
