"""Puts what the function needs at run time, and nothing else, into dist/: its source and the named packages."""

import importlib.metadata
import shutil
import sys
from pathlib import Path

dist = Path("dist")
shutil.rmtree(dist, ignore_errors=True)
shutil.copytree("src", dist, ignore=shutil.ignore_patterns("__pycache__"))
for name in sys.argv[1:]:
    for file in importlib.metadata.files(name) or []:
        if ".." not in file.parts and "__pycache__" not in file.parts:
            target = dist / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), target)
