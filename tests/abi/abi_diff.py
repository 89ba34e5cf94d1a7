"""abi_diff.py SOURCE [--write]: circus/abi.h, as the compiler sees it, against the latest sdk/abi/baseline-1.N.xml. A
difference fails, unless CIRCUS_ABI_MINOR is more than N: then it is printed for the reviewer. --write makes the
baseline of a new minor."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import sdk


def number_of(baseline):
    return int(re.fullmatch(r"baseline-1\.(\d+)\.xml", baseline.name)[1])


def probe(source, include, folder):
    library = folder / "probe.so"
    sdk.run("gcc", "-std=c11", "-g", "-shared", "-fPIC", f"-I{include}", "-o", library, source / "sdk/abi/probe.c")
    return library


def difference(baseline, library):
    """abidiff's report; empty where there is none. Its lowest two bits are errors of its own."""
    done = subprocess.run(["abidiff", "--harmless", baseline, library], capture_output=True, text=True)
    if done.returncode & 3:
        sys.exit(f"abidiff: {done.stderr}{done.stdout}")
    return done.stdout if done.returncode else ""


def changed(source, folder, before, after):
    """The difference that a change of the header makes: the guard has to see it."""
    text = (source / "sdk/include/circus/abi.h").read_text()
    assert text.count(before) == 1, before
    (folder / "circus").mkdir(exist_ok=True)
    (folder / "circus/abi.h").write_text(text.replace(before, after))
    return probe(source, folder, folder)


def main(source, write=""):
    source = pathlib.Path(source)
    if not shutil.which("abidiff"):
        print("skipped: no abidiff was found")
        return
    header = (source / "sdk/include/circus/abi.h").read_text()
    minor = int(re.search(r"#define CIRCUS_ABI_MINOR (\d+)", header)[1])
    baselines = sorted((source / "sdk/abi").glob("baseline-1.*.xml"), key=number_of)
    with tempfile.TemporaryDirectory(prefix="circus-abi-") as folder:
        folder = pathlib.Path(folder)
        library = probe(source, source / "sdk/include", folder)
        if write:
            out = source / f"sdk/abi/baseline-1.{minor}.xml"
            if out.exists():
                sys.exit(f"{out} is frozen; raise CIRCUS_ABI_MINOR")
            sdk.run("abidw", "--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--out-file", out, library)
            return
        report = difference(baselines[-1], library)
        if report and minor > number_of(baselines[-1]):
            print(f"since ABI 1.{number_of(baselines[-1])}, for the reviewer:\n{report}")
        elif report:
            sys.exit(f"the ABI changed, and CIRCUS_ABI_MINOR did not:\n{report}")
        for before, after in (("uint64_t (*now_ns)", "uint32_t (*now_ns)"), ("int64_t pid;", "uint64_t pid;"),
                              ("circus_str watcher, bytes;", "circus_str bytes, watcher;")):
            if not difference(baselines[-1], changed(source, folder, before, after)):
                sys.exit(f"{before} became {after}, and abidiff saw nothing")


if __name__ == "__main__":
    main(*sys.argv[1:])
