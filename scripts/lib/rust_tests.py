"""Runs the workspace's test executables two at a time, each with three tests: they wait for servers most of the while.

Those that took longest last time start first, so that none is left to run alone at the end. An executable runs as cargo
would run it: in its package's folder. Its output comes in one piece. Exits 1 when one of them failed.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import time

AT_ONCE = 2
THREADS = {"RUST_TEST_THREADS": "3"}
TIMES = pathlib.Path("target/test-times.json")


def executables() -> dict[str, tuple[pathlib.Path, str]]:
    """Name to folder and path of every test executable, built."""
    command = ["cargo", "test", "--workspace", "--locked", "--no-run", "--message-format=json"]
    built = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = {}
    for artifact in map(json.loads, built.splitlines()):
        if artifact.get("executable") and artifact["profile"]["test"]:
            folder, target = pathlib.Path(artifact["manifest_path"]).parent, artifact["target"]
            found[f"{folder.name} {target['kind'][0]} {target['name']}"] = (folder, artifact["executable"])
    return found


def why(output: str) -> str:
    """What each failed test of an executable said first, cut short: a log that keeps only its end must still tell."""
    sections = re.split(r"^---- (.+) stdout ----$", output, flags=re.MULTILINE)[1:]
    said = []
    for test, text in zip(sections[::2], sections[1::2]):
        panic = text[max(text.find("panicked at"), 0) :].strip().splitlines()[:6]
        said += [f"  {test}", *(f"    {line[:240]}" for line in panic)]
    # Killed, or ended by itself: nothing is listed.
    return "\n".join(said or output[-800:].splitlines())


def stacks(folder: pathlib.Path, path: str, pid: int) -> str:
    """Where each thread of an executable was that died of a signal, if the system left its memory and gdb is there."""
    cores = [core for core in (folder / f"core.{pid}", folder / "core") if core.is_file()]
    said = ""
    for core in cores:
        if shutil.which("gdb"):
            command = ["gdb", "-batch", "-ex", "bt 30", "-ex", "thread apply all bt 12", path, core]
            said += subprocess.run(command, capture_output=True, text=True, errors="replace").stdout
        core.unlink()
    return said


def run(name: str, folder: pathlib.Path, path: str) -> tuple[str, str | None, float]:
    """Runs one executable: its name, why it failed if it did, and the seconds it took."""
    started = time.monotonic()
    ended = subprocess.Popen(
        [path], cwd=folder, env=THREADS | os.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    said, _ = ended.communicate()
    took = time.monotonic() - started
    print(f"== {name}: exit {ended.returncode} after {took:.1f} s\n{said}", flush=True)
    if ended.returncode < 0:
        print(stacks(folder, path, ended.pid), flush=True)
    return name, why(said) if ended.returncode else None, took


def main() -> int:
    resource.setrlimit(resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE)[1:] * 2)
    times = json.loads(TIMES.read_text()) if TIMES.exists() else {}
    # One never seen before counts as long, and one with a server of its own as longer than one without.
    found = sorted(executables().items(), key=lambda item: (-times.get(item[0], 999), " test " not in item[0]))
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        ended = list(pool.map(lambda item: run(item[0], *item[1]), found))
    TIMES.write_text(json.dumps({name: round(took, 1) for name, _, took in ended}, indent=1))
    failed = {name: said for name, said, _ in ended if said is not None}
    documented = subprocess.run(["cargo", "test", "--workspace", "--locked", "--doc", "--no-fail-fast"]).returncode == 0
    for name, _, took in sorted(ended, key=lambda end: -end[2])[:8]:
        print(f"{took:7.1f} s  {name}")
    if failed:
        print("failed:", *(f"{name}\n{said}" for name, said in failed.items()), sep="\n")
    return 0 if documented and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
