#!/usr/bin/python3
"""The layers as a test: every #include of core, plugins and sdk against the table below.

include_rule.py ROOT         check the tree; exit 1 and one line per violation if there is any
include_rule.py --self-test  prove on small trees that each kind of violation is caught

The table is docs/architecture.md's. A new folder of core, or a library that a folder has not used before,
needs a row here: that is the moment to ask whether it belongs there.
"""

import pathlib
import re
import sys
import tempfile

ALL = None  # every header of that folder
POSIX = None  # every header of libc, POSIX and Linux

BELOW_SUPERVISE = ("base", "sys", "keeper", "model", "loop", "config", "bus", "stream", "stats")
BELOW_CONTROL = BELOW_SUPERVISE + ("supervise", "convert")
BELOW_PLUGIN = BELOW_CONTROL + ("control",)
SHELL_USES = {"asking", "circusctl", "command_line", "completion", "interrupt", "output"}
TOP_USES = {"answer_fields", "asking", "client", "interrupt", "listen", "look", "python_text"}


class Layer:
    """What a folder may include: other folders (name -> headers without extension, or ALL), libraries, and
    headers of the system."""

    def __init__(self, folders=(), libraries=(), system=POSIX):
        self.folders = dict(folders) if isinstance(folders, dict) else {name: ALL for name in folders}
        self.libraries = set(libraries)
        self.system = system


CORE = {
    "base": Layer(libraries=["nlohmann"], system={"unistd.h", "fnmatch.h"}),
    "sys": Layer(["base"]),
    "keeper": Layer({"base": {"clock", "unique_fd"}, "sys": ALL}),
    "model": Layer(["base"], system=set()),
    "loop": Layer({"base": ALL, "sys": ALL, "keeper": {"wire", "plan", "spawn_request"}}, ["uv", "zmq"]),
    "config": Layer({"base": ALL, "model": {"hook", "role"}, "sys": {"identity", "protocol", "signals"}}, ["toml++", "nlohmann"]),
    "convert": Layer({"base": ALL, "config": {"verdict"}}, ["nlohmann"], {"glob.h"}),
    "bus": Layer(["base", "loop"], ["nlohmann"]),
    "stream": Layer(["base", "sys", "loop"], ["zlib"]),
    "stats": Layer(["base", "sys", "loop"], ["nlohmann"]),
    "supervise": Layer(BELOW_SUPERVISE, ["nlohmann"]),
    "control": Layer(BELOW_CONTROL, ["nlohmann", "zmq"]),
    "shell": Layer({"base": ALL, "control": SHELL_USES}, ["readline"]),
    "top": Layer({"base": ALL, "control": TOP_USES}, ["nlohmann", "curses"]),
    "plugin": Layer(BELOW_PLUGIN, ["nlohmann", "boost", "sdk"]),
    "bin": Layer(BELOW_PLUGIN + ("plugin", "shell", "top"), ["nlohmann", "CLI11", "libbsd", "spdlog", "zmq"]),
}
SDK = {"abi.h": set(), None: {"nlohmann", "sdk"}}  # by file name; None: any other

LIBRARIES = (
    ("uv", r"uv(\.h$|/)"),
    ("zmq", r"zmq(_addon)?\.hp*$"),
    ("toml++", r"toml\+\+/"),
    ("nlohmann", r"nlohmann/"),
    ("spdlog", r"spdlog/"),
    ("CLI11", r"CLI/"),
    ("libbsd", r"bsd/"),
    ("boost", r"boost/"),
    ("curses", r"n?curses(w)?(\.h$|/)"),
    ("readline", r"readline/"),
    ("zlib", r"zlib\.h$"),
    ("sdk", r"circus/"),
)
SYSTEM = re.compile(r"((sys|net|netinet|arpa|linux|asm|systemd)/)?[a-z0-9_-]+\.h$")
STANDARD = re.compile(r"[a-z0-9_]+$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SOURCES = {".h", ".hpp", ".hh", ".c", ".cc", ".cpp", ".inc"}


def includes(path):
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        found = INCLUDE.match(line)
        if found:
            yield number, found.group(1) == '"', found.group(2)


def sources(folder):
    if folder.is_dir():
        yield from sorted(p for p in folder.rglob("*") if p.suffix in SOURCES and p.is_file())


def library_of(header):
    return next((name for name, pattern in LIBRARIES if re.match(pattern, header)), None)


def core_problem(folder, quoted, header):
    """Why core/`folder` may not include this, or None."""
    layer = CORE[folder]
    if ".." in header.split("/"):
        return "a path of this project starts at core, not with .."
    first, _, rest = header.partition("/")
    if quoted:
        if first == folder:
            return None
        if not rest or first not in CORE:
            return "no folder of core; write \"folder/file.hpp\", or <…> for a library"
        if first not in layer.folders:
            return f"{folder} may include {', '.join(layer.folders) or 'no other folder'}"
        allowed = layer.folders[first]
        if allowed is not ALL and rest.rsplit(".", 1)[0] not in allowed:
            return f"of {first}, {folder} may include only {', '.join(sorted(allowed))}"
        return None
    if STANDARD.match(header):
        return None
    library = library_of(header)
    if library:
        return None if library in layer.libraries else f"{folder} may not use {library}"
    if SYSTEM.match(header):
        if layer.system is POSIX or header in layer.system:
            return None
        return f"{folder} may not use headers of the system"
    return "a library that has no row in the table"


def check_core(root):
    for folder in sorted(p for p in (root / "core").iterdir() if p.is_dir()):
        if folder.name not in CORE:
            if any(sources(folder)):
                yield folder, 0, folder.name, "this folder has no row in the table"
            continue
        for path in sources(folder):
            for number, quoted, header in includes(path):
                problem = core_problem(folder.name, quoted, header)
                if problem:
                    yield path, number, header, problem


def check_plugins(root):
    plugins = root / "plugins"
    names = {p.name for p in plugins.iterdir() if p.is_dir()} if plugins.is_dir() else set()
    for path in sources(plugins):
        own = path.relative_to(plugins).parts[0]
        for number, quoted, header in includes(path):
            first = header.split("/")[0]
            if ".." in header.split("/"):
                yield path, number, header, "a plugin's paths stay in its own folder"
            elif first == "core" or (first in CORE and first != own and (quoted or header.endswith(".hpp"))):
                yield path, number, header, "a plugin knows nothing of core but sdk's headers"
            elif quoted and first in names | {"plugins"} and first != own:
                yield path, number, header, "a plugin knows no other plugin"


def check_sdk(root):
    for path in sources(root / "sdk"):
        allowed = SDK.get(path.name, SDK[None])
        c_only = path.name in SDK
        for number, quoted, header in includes(path):
            library = "sdk" if quoted else library_of(header)
            if library and library not in allowed:
                yield path, number, header, f"{path.name} may not use {library}"
            elif header.split("/")[0] in CORE and (quoted or header.endswith(".hpp")):
                yield path, number, header, "sdk knows nothing of core"
            elif not library and not SYSTEM.match(header) and (c_only or not STANDARD.match(header)):
                yield path, number, header, "libc only" if c_only else "a library that has no row in the table"


def check(root):
    root = pathlib.Path(root)
    return [
        f"{path.relative_to(root)}:{number}: {header}: {why}"
        for checker in (check_core, check_plugins, check_sdk)
        for path, number, header, why in checker(root)
    ]


GOOD = {
    "core/base/text.hpp": "#include <string>\n#include <unistd.h>\n#include <nlohmann/json_fwd.hpp>\n",
    "core/sys/listen.cc": '#include "base/text.hpp"\n#include <sys/socket.h>\n',
    "core/loop/client.cc": '#include "keeper/wire.hpp"\n#include <uv.h>\n#include <zmq.hpp>\n',
    "core/supervise/arbiter.cc": '#include "bus/event.hpp"\n#include "supervise/watcher.hpp"\n',
    "plugins/flapping/flapping.cc": '#include <circus/plugin.hpp>\n#include "flapping/window.hpp"\n',
    "sdk/include/circus/abi.h": "#include <stdint.h>\n#include <stddef.h>\n",
    "sdk/include/circus/plugin.hpp": '#include "circus/abi.h"\n#include <vector>\n',
}
BAD = {
    "a lower layer includes a higher one": ("core/model/x.cc", '#include "supervise/watcher.hpp"'),
    "model uses the system": ("core/model/x.cc", "#include <unistd.h>"),
    "a header that a layer may not see of an allowed folder": ("core/loop/x.cc", '#include "keeper/table.hpp"'),
    "libuv outside loop": ("core/supervise/x.cc", "#include <uv.h>"),
    "toml++ outside config": ("core/control/x.cc", "#include <toml++/toml.h>"),
    "an indented include": ("core/keeper/x.cc", "  #  include <nlohmann/json.hpp>"),
    "a library without a row": ("core/sys/x.cc", "#include <fancy/thing.hpp>"),
    "a way around by ..": ("core/base/x.hpp", '#include "../loop/loop.hpp"'),
    "a folder without a row": ("core/misc/x.cc", "#include <string>"),
    "a plugin that includes core": ("plugins/p/x.cc", '#include "base/text.hpp"'),
    "a plugin that includes core in angles": ("plugins/p/x.cc", "#include <supervise/watcher.hpp>"),
    "a plugin that includes another": ("plugins/p/x.cc", '#include "flapping/window.hpp"'),
    "C++ in abi.h": ("sdk/include/circus/abi.h", "#include <string>"),
    "core in the sdk": ("sdk/include/circus/testing.hpp", '#include "base/json.hpp"'),
}


def problems_of(files):
    with tempfile.TemporaryDirectory() as directory:
        for name, text in files.items():
            path = pathlib.Path(directory) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        return check(directory)


def self_test():
    wrong = [f"a good tree is refused: {problem}" for problem in problems_of(GOOD)]
    for what, (name, line) in BAD.items():
        problems = problems_of({**GOOD, name: line})
        if len(problems) != 1 or not problems[0].startswith(str(pathlib.Path(name).parent)):
            wrong.append(f"{what}: expected one violation of {name}, got {problems}")
    return wrong


def main(arguments):
    if len(arguments) != 1:
        sys.exit(__doc__)
    problems = self_test() if arguments[0] == "--self-test" else check(arguments[0])
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
