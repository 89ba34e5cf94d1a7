"""The examples of circusctl convert: FORMAT/NAME.in and what is made of it, FORMAT/NAME.toml.

NAME.in is put into a folder of its own under the name that its program expects, with NAME.env as .env and what is in
NAME.d beside it. @HERE@ in an expected file stands for that folder.
"""
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("CIRCUS_BUILD", HERE.parents[1] / "build"))
CIRCUSD = str(BUILD / "bin/circusd")
CIRCUSCTL = str(BUILD / "bin/circusctl")

# How each format's file is called where it comes from.
FORMATS = {
    "circus": "circus.ini",
    "supervisor": "supervisord.conf",
    "procfile": "Procfile",
    "pm2": "ecosystem.json",
}


def examples(kind, prefix=""):
    return sorted(path for path in (HERE / kind).glob(prefix + "*.in"))


def stage(example, directory):
    """The example as a user has it; the name of its main file."""
    name = FORMATS[example.parent.name]
    shutil.copy(example, directory / name)
    environment, more = example.with_suffix(".env"), example.with_suffix(".d")
    if environment.exists():
        shutil.copy(environment, directory / ".env")
    if more.exists():
        shutil.copytree(more, directory, dirs_exist_ok=True)
    return name


def convert(directory, *arguments):
    return subprocess.run([CIRCUSCTL, "convert", *arguments], cwd=directory, capture_output=True, text=True, timeout=30,
                          check=False)
