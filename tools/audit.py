"""``make audit``: no dependency with a known weakness, no secret in the tree or in any commit.

Advisories come from a service on the Internet. Where it does not answer, or knows none of the packages, nothing has
been looked up: that is said loudly, and is no failure, because a build must not depend on it. A weakness that is known
is one. The secrets scan needs no network: it looks through every file of every commit, and through the working tree.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
RULES = ROOT / "tools" / "secrets.yml"
SERVICES = ("pypi", "osv")
"""Asked in this order, until one knows something."""
WITHIN_S = 60
"""For one service to tell of all packages; a hundred requests take it ten seconds."""
ACCEPTED: Mapping[str, str] = {}
"""Advisories that do not concern us: their id, and why."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What a service has told. ``unknown``: packages of which it told nothing; ``failed``: why it told nothing."""

    audited: int
    unknown: tuple[str, ...]
    weaknesses: tuple[str, ...]
    failed: str | None = None


def main() -> int:
    """Both audits; 1 if either has found something."""
    return int(not audit_dependencies()) | int(not audit_secrets(ROOT))


def audit_dependencies() -> bool:
    """Whether no weakness is known of what the lock names; prints what was found, and how much was looked up."""
    advice = Advice(0, (), (), "nobody was asked")
    for service in SERVICES:
        advice = ask(service)
        if advice.audited:
            break
    print("\n".join(tell(advice)), flush=True)
    return not advice.weaknesses


def ask(service: str, program: tuple[str, ...] = (sys.executable, "-m", "pip_audit")) -> Advice:
    """Ask one service about every package of the lock."""
    options = ("--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json", "--timeout", "10")
    command = [*program, "--requirement", str(LOCK), "--vulnerability-service", service, *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
        return read(json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        return Advice(0, (), (), f"{service}: no answer within {WITHIN_S} s")
    except (ValueError, KeyError, TypeError):
        last = done.stderr.strip().splitlines()
        return Advice(0, (), (), f"{service}: {last[-1][:200] if last else 'no answer'}")


def read(told: Any) -> Advice:
    """What stands in pip-audit's JSON. What was skipped was not audited, whatever its exit code says."""
    known = [one for one in told["dependencies"] if "skip_reason" not in one]
    weaknesses = [
        f"{one['name']} {one['version']}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'none yet'}"
        for one in known
        for found in one["vulns"]
        if not {found["id"], *found.get("aliases", ())} & set(ACCEPTED)
    ]
    unknown = [one["name"] for one in told["dependencies"] if "skip_reason" in one]
    return Advice(len(known), tuple(unknown), tuple(weaknesses))


def tell(advice: Advice) -> Iterator[str]:
    """For a person who reads a log."""
    for weakness in advice.weaknesses:
        yield f"audit: KNOWN WEAKNESS: {weakness}"
    if not advice.audited:
        yield "!" * 100
        yield "audit: NO DEPENDENCY WAS AUDITED: no advisory service could be reached that knows any of them."
        yield f"audit: {advice.failed or f'none of {len(advice.unknown)} packages is known there'}"
        yield "audit: This is no proof of anything. Run `make audit` once where the Internet can be reached."
        yield "!" * 100
        return
    if advice.unknown:
        yield f"audit: NOT AUDITED, unknown to the service: {', '.join(advice.unknown)}"
    yield f"audit: {advice.audited} dependencies audited, {len(advice.weaknesses)} known weaknesses"


def audit_secrets(repository: Path) -> bool:
    """Whether no secret is in a file of the tree or of a commit; prints where each is, and never the secret itself."""
    scanner = Path(sys.executable).with_name("kingfisher")
    with tempfile.TemporaryDirectory(prefix="doorbell-audit-") as folder:
        # A bare clone has every commit and nothing that git ignores; beside it what is not committed yet.
        subprocess.run(["git", "clone", "--quiet", "--bare", "--shared", str(repository), folder], check=True)
        command = [str(scanner), "scan", folder, *_uncommitted(repository), "--rules-path", str(RULES)]
        command += ["--format", "json", "--redact", "--no-validate", "--no-update-check"]
        command += ["--rule-cache-dir", str(scanner.parents[1] / "kingfisher-rules")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout.partition("\n")[0])
        findings, looked = report["findings"], report["metadata"]["summary"]["blobs_scanned"]
    except (ValueError, KeyError):
        print(f"audit: the secrets scan failed ({done.returncode}): {done.stderr.strip()[-500:]}")
        return False
    for one in findings:
        found, commit = one["finding"], one["finding"].get("git_metadata", {}).get("commit", {}).get("id", "")
        at = f" in commit {commit[:12]}" if commit else ""
        print(f"audit: SECRET: {one['rule']['name']}: {found['path']}:{found['line']}{at}")
    print(f"audit: {looked} files of the tree and of all commits scanned, {len(findings)} secrets", flush=True)
    return not findings


def _uncommitted(repository: Path) -> list[str]:
    command = ["git", "ls-files", "-z", "--modified", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout
    return [str(path) for name in listed.split("\0") if name and (path := repository / name).is_file()]


if __name__ == "__main__":
    sys.exit(main())
