"""What the pages made of the tables say: the commands with their properties, the options of a watcher.

docs/commands.md and docs/config.md are generated, and a test fails while they are stale, so what is read here cannot
drift from what circusd has.
"""
import re
from typing import NamedTuple

from daemon import ROOT


class Property(NamedTuple):
    """`kind`: the type as the page names it, None where anything goes."""

    name: str
    kind: str
    required: bool


def part(page, table):
    text = (ROOT / "docs" / page).read_text()
    return text.split(f"<!-- table: {table} -->", 1)[1].split("<!-- end of table -->", 1)[0]


def sections(text):
    for section in re.split(r"^### ", text, flags=re.M)[1:]:
        name, _, body = section.partition("\n")
        yield name, body


def commands():
    """{name: [Property]}; a command that is never sent (listen) has none."""
    found = {}
    for name, body in sections(part("commands.md", "commands")):
        message = re.search(r"^Message: (.*?)\.\\?$", body, re.M)
        found[name] = []
        for word, facts in re.findall(r"`(\w+)`(?: \(([^)]*)\))?", message[1] if message else ""):
            kinds = [fact for fact in facts.split(", ") if fact and fact != "required"]
            found[name].append(Property(word, ", ".join(kinds) or None, "required" in facts.split(", ")))
    return found


def watcher_options():
    """{name: type as the page names it}"""
    return {name: re.search(r"^\*(.*?) · ", body, re.M)[1]
            for name, body in sections(part("config.md", "watcher options"))}
