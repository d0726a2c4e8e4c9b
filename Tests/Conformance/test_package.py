"""The packed program (Scripts/package.sh) runs from any folder and brings its libraries."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Swift is part of macOS")
def test_the_package_needs_no_swift(tmp_path):
    """Unpacked elsewhere it starts, and takes none of Swift's libraries from where Swift is installed."""
    packed = subprocess.run(
        [ROOT / "Scripts/package.sh", tmp_path], capture_output=True, text=True, timeout=300, env=os.environ
    )
    assert packed.returncode == 0, packed.stderr
    path = pathlib.Path(packed.stdout.strip())
    assert path.parent == tmp_path
    assert os.listdir(tmp_path) == [path.name], "work is left behind"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run(["tar", "xzf", path, "-C", elsewhere], check=True, timeout=120)
    (home,) = elsewhere.iterdir()
    assert {"LICENSE", "NOTICE", "bin", "lib"} == set(os.listdir(home))
    told = subprocess.run([home / "bin/skein", "--version"], capture_output=True, text=True, timeout=60)
    assert told.returncode == 0 and path.name.startswith(f"skein-{told.stdout.strip()}-"), told.stderr
    found = subprocess.run(["ldd", home / "lib/skein/skein"], capture_output=True, text=True, timeout=60).stdout
    assert "not found" not in found
    swift = [line for line in found.splitlines() if "libswift" in line]
    assert swift and all(f"=> {home}/lib/skein/" in line for line in swift), found
