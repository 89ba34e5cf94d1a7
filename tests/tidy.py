#!/usr/bin/python3
"""clang-tidy over the sources of core, plugins and sdk, those that changed since they were last found clean.

tidy.py [--configure] BUILD [-j N]: BUILD is a tree configured with CMAKE_UNITY_BUILD, where the sources of a
target are compiled in one go: most of the work is in the headers, which are then looked at once for all of them.
Nothing needs to be built in it. --configure: does that first. What a batch was judged by (its sources, every
header of this project that they include, its command, .clang-tidy, the version of clang-tidy) is hashed into a
stamp below BUILD/tidy.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("core", "plugins", "sdk")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*["<]([^">]+)[">]', re.MULTILINE)
QUIET = ("--quiet", "--extra-arg=-Wno-unknown-warning-option")


def is_ours(path):
    return path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in FOLDERS


class Headers:
    """Which files of this project a file includes, itself and through others."""

    def __init__(self):
        self.direct = {}

    def of(self, path, folders):
        if path not in self.direct:
            names = INCLUDE.findall(path.read_text(errors="replace"))
            places = [path.parent, *folders]
            found = (place / name for name in names for place in places)
            self.direct[path] = {file.resolve() for file in found if file.is_file()}
        return {file for file in self.direct[path] if file.is_relative_to(ROOT)}

    def all(self, start, folders):
        seen, todo = set(), [start]
        while todo:
            for file in self.of(todo.pop(), folders):
                if file not in seen:
                    seen.add(file)
                    todo.append(file)
        return seen


def include_folders(arguments):
    return [pathlib.Path(word[2:]) for word in arguments if word.startswith("-I") and len(word) > 2]


def digest(command, files, version):
    state = hashlib.sha256(f"{version}\n{command}\n".encode())
    for name in sorted(files):
        state.update(str(name).encode() + b"\0" + name.read_bytes())
    return state.hexdigest()


def tidy(build, source):
    found = subprocess.run(["clang-tidy", "-p", build, *QUIET, source],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    # Its standard error only counts warnings in headers of others, unless it could not run at all.
    return found.returncode == 0, found.stdout or found.stderr


def main():
    parser = argparse.ArgumentParser(description="clang-tidy over the sources that changed.")
    parser.add_argument("build")
    parser.add_argument("-j", type=int, default=os.cpu_count())
    parser.add_argument("--configure", action="store_true")
    arguments = parser.parse_args()
    if arguments.configure:
        subprocess.run(["cmake", "-S", ROOT, "-B", arguments.build, "-G", "Ninja", "-DCMAKE_UNITY_BUILD=ON",
                        "-DCMAKE_UNITY_BUILD_BATCH_SIZE=0", "-DCIRCUS_PRECOMPILE=OFF",
                        "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCIRCUS_TESTS=OFF"],
                       stdout=subprocess.DEVNULL, check=True)
    build = pathlib.Path(arguments.build).resolve()
    stamps = build / "tidy"
    stamps.mkdir(exist_ok=True)
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, text=True, check=True).stdout
    entries = json.loads((build / "compile_commands.json").read_text())
    headers, todo, sources = Headers(), {}, 0

    for entry in entries:
        batch = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if not batch.is_relative_to(build) or not batch.is_file():  # generated ones are nobody's
            continue
        files = headers.all(batch, include_folders(shlex.split(entry["command"])))
        members = [file for file in headers.of(batch, ()) if file.suffix == ".cc" and is_ours(file)]
        if not members:
            continue
        sources += len(members)
        mark = digest(entry["command"], files | {batch, ROOT / ".clang-tidy"}, version)
        stamp = stamps / (str(batch.relative_to(build)).replace("/", "+") + ".stamp")
        if not stamp.exists() or stamp.read_text() != mark:
            todo[str(batch)] = (stamp, mark)
    if not sources:
        sys.exit(f"tidy.py: {build} was not configured with -DCMAKE_UNITY_BUILD=ON: no source in it is ours")

    for entry in entries:  # what g++ alone understands is not said to clang
        entry["command"] = entry["command"].replace(" -fno-gnu-unique", "")
    (stamps / "compile_commands.json").write_text(json.dumps(entries))

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max(arguments.j, 1)) as pool:
        running = {pool.submit(tidy, str(stamps), source): what for source, what in todo.items()}
        for done in concurrent.futures.as_completed(running):
            stamp, mark = running[done]
            clean, text = done.result()
            if clean:
                stamp.write_text(mark)
            else:
                failed += 1
                print(text, flush=True)
    print(f"clang-tidy: {sources} sources, {len(todo)} batches looked at, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
