"""Waiting for what must come, and for what must not: conditions with a deadline, never a sleep."""
import threading
import time

PATIENCE = 15  # seconds; what a condition gets that should come at once, on a loaded machine


class NotReached(AssertionError):
    """A condition did not come true before its deadline."""


def wait_until(condition, patience=PATIENCE, what=None, pause=0.005):
    """Returns the condition's first true value; looks again after each `pause`, in seconds."""
    deadline = time.monotonic() + patience
    never = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise NotReached(f"not within {patience} s: {what() if callable(what) else what or 'the condition'}"
                             f" (last value: {value!r})")
        never.wait(pause)


def wait_quietly(condition, patience):
    try:
        return wait_until(condition, patience)
    except NotReached:
        return None


def holds_for(condition, seconds):
    """True if the condition is true during all of the time: for what must NOT happen."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while time.monotonic() < deadline:
        if not condition():
            return False
        pause.wait(0.02)
    return True
