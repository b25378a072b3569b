"""The tables of the kill cases and of the failovers in pytest's summary, also where xdist's workers have run them."""

from typing import Any

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each case that passed: how long the restart took, press to ring, the worst deadline."""
    reports = terminalreporter.getreports("passed")
    rows = [value for report in reports for name, value in report.user_properties if name == "kill"]
    if rows:
        terminalreporter.section(f"kill -9: {len(rows)} cases")
        terminalreporter.write_line(f"{'broker':<10} {'process':<8} {'moment':<22} restart    ring  deadline  presses")
        for row in sorted(rows, key=lambda row: row["broker"]):
            terminalreporter.write_line(_line(row))
    moves = [value for report in reports for name, value in report.user_properties if name == "failover"]
    if moves:
        terminalreporter.section("several relays: seconds")
        for what, number in ((what, number) for move in moves for what, number in move.items()):
            terminalreporter.write_line(
                f"{number:8.3f}  {what}" if isinstance(number, float) else f"{number:8d}  {what}"
            )


def _line(row: dict[str, Any]) -> str:
    error = row["deadline_error_s"]
    deadline = "    deaf" if error is None else f"{error:+8.3f}"
    case = f"{row['broker']:<10} {row['process']:<8} {row['moment']:<22}"
    return f"{case} {row['restart_s']:7.3f} {row['press_to_ring_s']:7.3f}  {deadline}  {row['presses']:7d}"
