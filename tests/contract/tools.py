"""Programs that tests need: installed, or only unpacked by configs/packages.sh because their services must not start."""
import os
import shutil

FOLDERS = ("bin", "sbin")


def tool(name):
    """Its path. None: it is not here."""
    unpacked = os.environ.get("CIRCUS_TOOLS") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "circus-tools")
    return shutil.which(name, path=":".join(
        [os.environ.get("PATH", os.defpath), "/usr/sbin", *(os.path.join(unpacked, "usr", each) for each in FOLDERS)]))
