"""For maintainers: `python -m tests.refetch_vendored` packs every vendored package anew with npm.

It says whether the package has the integrity of the manifest, and whether our files are in it.
"""

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

VENDOR = Path(__file__).parents[1] / "ai_gateway" / "static" / "vendor"


def main() -> int:
    faults = [
        fault
        for row in json.loads((VENDOR / "manifest.json").read_text())
        for fault in _faults(row)
    ]
    sys.stdout.write(
        "\n".join(faults or ["All vendored files are those of their packages."]) + "\n"
    )
    return len(faults)


def _faults(row: Mapping[str, Any]) -> list[str]:
    name = f"{row['name']}@{row['version']}"
    with TemporaryDirectory() as folder:
        subprocess.run(
            ["npm", "pack", "--silent", name], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
        (package,) = Path(folder).iterdir()
        digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
        there = _digests(package)
    faults = [
        f"{file} is not in {name}" for file, ours in row["files"].items() if ours not in there
    ]
    if f"sha512-{digest}" != row["npm_integrity"]:
        faults.append(f"{name} has another integrity: sha512-{digest}")
    return faults


def _digests(package: Path) -> set[str]:
    with tarfile.open(package) as archive:
        files = (archive.extractfile(member) for member in archive if member.isfile())
        return {hashlib.sha256(file.read()).hexdigest() for file in files if file is not None}


if __name__ == "__main__":
    sys.exit(main())
