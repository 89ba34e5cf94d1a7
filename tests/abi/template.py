"""template.py BUILD: what `circusctl plugin new` writes out builds against the installed SDK, passes its unit test and
loads, as it stands; and it writes nothing over anything."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import sdk
from exports import exports

LIBRARY = {"c": "build/mine_c.so", "cpp": "build/mine_cpp.so", "rust": "target/release/libmine_rust.so"}
# Rust's side of the SDK declares what it needs itself, and that is all of 1.0.
ABI = {"c": [1, 1], "cpp": [1, 1], "rust": [1, 0]}


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refuses(circusctl, folder, expected, *arguments):
    before = files(folder)
    done = subprocess.run([circusctl, "plugin", "new", *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode not in (1, 2) or expected not in done.stderr or files(folder) != before:
        sys.exit(f"plugin new {arguments}: {done}")


def check_refusals(circusctl, folder):
    (folder / "file").write_text("mine")
    (folder / "link").symlink_to("nowhere")
    for name in ("mine_c", "file", "link"):
        refuses(circusctl, folder, "exists already", name, "--lang", "c")
    for name in ("", "Mine", "9lives", "a-b", "../up", "a/b", "a b", "x" * 65):
        refuses(circusctl, folder, "a name is a small letter", name)
    for name in ("test", "install", "enable"):
        refuses(circusctl, folder, "means something else", name)
    refuses(circusctl, folder, "there are c, cpp, rust", "other", "--lang", "fortran")


def check_library(build, library, name, abi):
    found = [symbol for _, symbol in exports(library)]
    if found != ["circus_plugin_v1"]:
        sys.exit(f"{library} exports {found}")
    described = json.loads(sdk.run(sdk.program(build, "circus-plugin"), "--describe", library))
    if described.get("name") != name or described.get("abi") != abi:
        sys.exit(f"{library}: {described}")


def build_and_test(folder, prefix, language):
    if language == "rust":
        sdk.run("cargo", "build", "--offline", "--release", cwd=folder)
        sdk.run("cargo", "test", "--offline", cwd=folder)
    else:
        sdk.cmake(folder, prefix)
        sdk.ctest(folder)


def main(build):
    circusctl = sdk.program(build, "circusctl")
    with tempfile.TemporaryDirectory(prefix="circus-template-") as folder:
        folder = pathlib.Path(folder)
        sdk.install(build, folder / "prefix")
        for language, library in LIBRARY.items():
            name = f"mine_{language}"
            sdk.run(circusctl, "plugin", "new", name, "--lang", language, cwd=folder)
            left = [path for path, text in files(folder / name).items() if "my_plugin" in path or b"my_plugin" in text]
            if left:
                sys.exit(f"not renamed in {left}")
            if language == "rust" and not shutil.which("cargo"):
                print("the one in Rust is not built: no cargo was found")
                continue
            build_and_test(folder / name, folder / "prefix", language)
            check_library(build, folder / name / library, name, ABI[language])
        check_refusals(circusctl, folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
