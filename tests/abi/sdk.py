"""What the tests of the SDK share: its installation in a folder of the test's own, and the programs of the build."""
import pathlib
import subprocess
import sys


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def install(build, prefix):
    run("cmake", "--install", build, "--prefix", prefix, "--component", "sdk")


def cmake(folder, prefix, *targets):
    """Builds the project as one of somebody else's would be."""
    run("cmake", "-S", folder, "-B", folder / "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}",
        "-DCMAKE_BUILD_TYPE=Debug")
    run("cmake", "--build", folder / "build", *targets)


def ctest(folder):
    return run("ctest", "--test-dir", folder / "build", "--output-on-failure", "--no-tests=error")


def program(build, name):
    return pathlib.Path(build).resolve() / "bin" / name
