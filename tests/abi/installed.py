"""installed.py BUILD SOURCE: the SDK as it is installed, for what `circusctl plugin new` does not make (template.py): a
hook library by CMake, and a plugin by pkg-config. Both export what they should."""
import os
import pathlib
import sys
import tempfile

import sdk
from exports import exports

PROJECT = """
cmake_minimum_required(VERSION 3.16)
project(outside LANGUAGES C)
find_package(CircusSdk 1.0 REQUIRED)
circus_add_hook_library(outside_hooks SOURCES hooks.c)
"""
HOOKS = """
#include <circus/abi.h>
CIRCUS_EXPORT circus_status yes(void* user, const circus_hook_call* call);
CIRCUS_EXPORT circus_status yes(void* user, const circus_hook_call* call) {
    (void)user, (void)call;
    return CIRCUS_OK;
}
CIRCUS_EXPORT const circus_hooks_stamp circus_hooks_v1 = {
    sizeof(circus_hooks_stamp), CIRCUS_ABI_MAJOR, CIRCUS_ABI_MINOR};
"""


def main(build, source):
    with tempfile.TemporaryDirectory(prefix="circus-sdk-") as folder:
        folder = pathlib.Path(folder)
        prefix = folder / "prefix"
        sdk.install(build, prefix)
        ticker = pathlib.Path(source) / "sdk/examples/c/ticker.c"
        (folder / "hooks.c").write_text(HOOKS)
        (folder / "CMakeLists.txt").write_text(PROJECT)
        sdk.cmake(folder, prefix)
        pkgconfig = next(prefix.rglob("circus-sdk.pc")).parent
        flags = sdk.run("pkg-config", "--define-prefix", "--cflags", "--libs", "circus-sdk",
                        env={**os.environ, "PKG_CONFIG_PATH": str(pkgconfig)}).split()
        sdk.run("cc", "-std=c99", "-shared", "-fPIC", "-o", folder / "by_pkgconfig.so", ticker, *flags)
        for library, names in ((folder / "by_pkgconfig.so", ["circus_plugin_v1"]),
                               (folder / "build/outside_hooks.so", ["circus_hooks_v1", "yes"])):
            found = sorted(name for _, name in exports(library))
            if found != names:
                sys.exit(f"{library.name} exports {found}, not {names}")


if __name__ == "__main__":
    main(*sys.argv[1:])
