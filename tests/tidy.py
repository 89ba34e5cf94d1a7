#!/usr/bin/python3
"""clang-tidy over the sources of core, plugins and sdk, those that changed since they were last found clean.

tidy.py BUILD [-j N]: BUILD is a built tree with compile_commands.json. What a file was judged by (itself, every
header of this project that it includes, its command, .clang-tidy, the version of clang-tidy) is hashed into a
stamp below BUILD/tidy; the headers are those that ninja noted when it compiled the file.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("core", "plugins", "sdk")
NOT_YET = ("core/bin/", "core/control/", "core/shell/", "core/convert/", "sdk/")  # to be brought to no findings


def noted_headers(build):
    """Object -> files of this project that it was compiled from, as `ninja -t deps` tells."""
    told = subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True, check=True).stdout
    noted, target = {}, None
    for line in told.splitlines():
        if line and not line.startswith(" "):
            target = line.split(":", 1)[0]
            noted[target] = set()
        elif line.strip().startswith(str(ROOT) + os.sep):
            noted[target].add(line.strip())
    return noted


def digest(command, files, version):
    state = hashlib.sha256(f"{version}\n{command}\n".encode())
    for name in sorted({*files, str(ROOT / ".clang-tidy")}):
        try:
            state.update(name.encode() + b"\0" + pathlib.Path(name).read_bytes())
        except FileNotFoundError:  # a header that is gone: the file is compiled anew before it is clean again
            state.update(name.encode() + b" is gone")
    return state.hexdigest()


def tidy(build, source):
    found = subprocess.run(
        ["clang-tidy", "-p", build, "--quiet", "--extra-arg=-Wno-unknown-warning-option", source],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    # Its standard error only counts warnings in headers of others, unless it could not run at all.
    return found.returncode == 0, found.stdout or found.stderr


def main():
    parser = argparse.ArgumentParser(description="clang-tidy over the sources that changed.")
    parser.add_argument("build")
    parser.add_argument("-j", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    build = pathlib.Path(arguments.build).resolve()
    stamps = build / "tidy"
    stamps.mkdir(exist_ok=True)
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, text=True, check=True).stdout
    headers = noted_headers(build)

    todo = {}
    entries = json.loads((build / "compile_commands.json").read_text())
    for entry in entries:
        source = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if not source.is_relative_to(ROOT) or source.relative_to(ROOT).parts[0] not in FOLDERS:
            continue
        if str(source.relative_to(ROOT)).startswith(NOT_YET):
            continue
        target = entry.get("output") or entry["command"].split(" -o ")[1].split()[0]
        mark = digest(entry["command"], headers.get(target, set()) | {str(source)}, version)
        name = str(source.relative_to(ROOT))
        stamp = stamps / (name.replace("/", "+") + ".stamp")
        if not stamp.exists() or stamp.read_text() != mark:
            todo[str(source)] = (name, stamp, mark)

    # What g++ alone understands is not said to clang.
    for entry in entries:
        entry["command"] = entry["command"].replace(" -fno-gnu-unique", "")
    (stamps / "compile_commands.json").write_text(json.dumps(entries))

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max(arguments.j, 1)) as pool:
        running = {pool.submit(tidy, str(stamps), source): what for source, what in todo.items()}
        for done in concurrent.futures.as_completed(running):
            name, stamp, mark = running[done]
            clean, text = done.result()
            if clean:
                stamp.write_text(mark)
            else:
                failed += 1
                print(f"{name}:\n{text}", flush=True)
    print(f"clang-tidy: {len(todo)} files looked at, {failed} with findings; left out: {' '.join(NOT_YET)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
