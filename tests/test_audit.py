"""The audit says what it has found, what it could not look up, and where a secret is."""

import json
import secrets
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tools import audit

WEAK = {"id": "PYSEC-2026-1", "fix_versions": ["2.1"], "aliases": ["CVE-2026-1"]}


def dependency(name: str, *weaknesses: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "version": "2.0", "vulns": list(weaknesses)}


def skipped(name: str) -> dict[str, Any]:
    return {"name": name, "skip_reason": "not found"}


def answering(tmp_path: Path, told: str, *, code: int = 0) -> tuple[str, ...]:
    """A program in the place of pip-audit."""
    program = tmp_path / "answer.py"
    program.write_text(f"import sys\nprint({told!r})\nprint('why', file=sys.stderr)\nsys.exit({code})\n")
    return (sys.executable, str(program))


def test_a_known_weakness_is_told_with_the_release_that_mends_it(tmp_path: Path) -> None:
    told = json.dumps({"dependencies": [dependency("good"), dependency("weak", WEAK), skipped("own")]})
    advice = audit.ask("pypi", answering(tmp_path, told, code=1))
    assert advice == audit.Advice(2, ("own",), ("weak 2.0: PYSEC-2026-1, mended in 2.1",))
    lines = "\n".join(audit.tell(advice))
    assert "KNOWN WEAKNESS: weak 2.0" in lines
    assert "NOT AUDITED, unknown to the service: own" in lines


@pytest.mark.parametrize("name", ["PYSEC-2026-1", "CVE-2026-1"])
def test_a_weakness_that_does_not_concern_us_is_named_by_any_of_its_ids(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(audit, "ACCEPTED", {name: "we do not call it"})
    assert audit.read({"dependencies": [dependency("weak", WEAK)]}).weaknesses == ()


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (json.dumps({"dependencies": [skipped("a"), skipped("b")]}), "none of 2 packages is known there"),
        ("", "osv: why"),
        ("[]", "osv: why"),
    ],
    ids=["all skipped", "no answer", "another answer"],
)
def test_nothing_looked_up_is_told_loudly_and_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], told: str, reason: str
) -> None:
    """pip-audit itself says "No known vulnerabilities found" where it has looked up nothing, with exit code 0."""
    program, ask = answering(tmp_path, told), audit.ask
    monkeypatch.setattr(audit, "ask", lambda service: ask(service, program))
    assert audit.audit_dependencies()
    shown = capsys.readouterr().out
    assert "NO DEPENDENCY WAS AUDITED" in shown
    assert reason in shown


def test_a_weakness_fails_the_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "ask", lambda _service: audit.Advice(3, (), ("weak 2.0: X",)))
    monkeypatch.setattr(audit, "audit_secrets", lambda _where: True)
    assert audit.main() == 1


def key() -> str:
    made = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8
    return made.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


PLANTED: dict[str, Callable[[], str]] = {
    "a private key": key,
    "a bot of WeCom": lambda: f"url = 'https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={uuid.uuid4()}'\n",
    "a bot of DingTalk": lambda: f"https://oapi.dingtalk.com/robot/send?access_token={secrets.token_hex(32)}\n",
    "a bot of Feishu": lambda: f"https://open.feishu.cn/open-apis/bot/v2/hook/{uuid.uuid4()}\n",
    "a database's password": lambda: f"postgresql://relay:{secrets.token_urlsafe(18)}@10.0.0.1/doorbell\n",
    "a password": lambda: f'password = "{secrets.token_urlsafe(24)}"\n',
    "a token of a forge": lambda: "gh" + f"p_{secrets.token_hex(18)}\n",
}


def git(repository: Path, *words: str) -> None:
    who = ("-c", "user.name=x", "-c", "user.email=x@example.invalid", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *words], cwd=repository, check=True, capture_output=True)


def test_every_planted_secret_is_found_in_a_commit_that_took_it_away_and_in_a_new_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tmp_path, "init", "--quiet", ".")
    (tmp_path / ".gitignore").write_text("/ignored\n")
    (tmp_path / "ignored").write_text(key())
    (tmp_path / "harmless.toml").write_text('password_file = "relay.password"\nsecret_file = "/etc/key"\n')
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "harmless")
    assert audit.audit_secrets(tmp_path), capsys.readouterr().out
    for number, make in enumerate(PLANTED.values()):
        (tmp_path / f"old-{number}").write_text(make())
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "planted")
    git(tmp_path, "rm", "--quiet", *(f"old-{number}" for number in range(len(PLANTED))))
    git(tmp_path, "commit", "--quiet", "-m", "taken away")
    (tmp_path / "new").write_text(secret := key())
    assert not audit.audit_secrets(tmp_path)
    shown = capsys.readouterr().out
    missed = [what for number, what in enumerate(PLANTED) if f"old-{number}:" not in shown]
    assert not missed, shown
    assert "/new:1" in shown
    assert "ignored" not in shown
    assert secret.splitlines()[1] not in shown
