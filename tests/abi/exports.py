"""exports.py LIBRARY...: each exports exactly circus_plugin_v1, and it is constant data."""
import subprocess
import sys


def exports(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True)
    return [tuple(line.split()[-2:]) for line in lines.stdout.splitlines()]


def main(libraries):
    wrong = 0
    for library in libraries:
        found = exports(library)
        # D: constant, but with addresses that the loader fills in (.data.rel.ro).
        if found not in ([("R", "circus_plugin_v1")], [("D", "circus_plugin_v1")]):
            print(f"{library}: {found}")
            wrong = 1
    return wrong if libraries else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
