"""Relays that share a city: one dies, is stopped, is cut off, comes, goes; the broker's servers and the database too.

Real processes, one PostgreSQL, a cluster of three NATS servers. Whatever happens, each press raises one alarm, no step
of it begins twice, and a dead relay's communities are served again within 10 s.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from relay.adapters.store_rows import JournalLine
from tests.postgres import PostgresServer
from tests.system.city import EAST, EXPIRE_S, FAILOVER_S, FIRST_WAIT_S, WEST, City, Relay
from tests.system.processes import until

pytestmark = [pytest.mark.slow, pytest.mark.system]

RecordProperty = Callable[[str, object], None]
TOLERANCE_S = 1.0
"""No deadline moves by more than this, if somebody serves it when it comes (product rule)."""


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """One city for all of it: starting it takes longer than anything that happens to it."""
    server = PostgresServer()
    try:
        with City(tmp_path_factory.mktemp("city"), server) as city:
            yield city
    finally:
        server.remove()


@pytest.fixture(autouse=True)
def _told(city: City, request: pytest.FixtureRequest) -> Iterator[None]:
    """Two relays at rest before each test; after a failure everybody's last words."""
    for relay in city.relays.values():
        if relay.short != "three" and relay.pid is None:
            relay.start()
    city.clear()
    city.await_rest(60.0)
    until(city.is_shared, "the two share the city")
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        sys.stdout.write(city.last_words())


def held(city: City, community: str) -> Relay:
    holder = city.holder(community)
    assert holder is not None
    return holder


def raised(city: City, since: int, community: str = WEST) -> JournalLine:
    """The one alarm since then; fails if there are two."""
    until(lambda: city.lines_of("raised", since=since), "an alarm is raised")
    lines = [line for line in city.lines_of("raised", since=since) if line.community == community]
    assert len(lines) == 1, f"{len(lines)} alarms of one press"
    return lines[0]


def check_steps(city: City, since: int) -> list[JournalLine]:
    """No step of an alarm has begun twice, and nothing else was raised."""
    steps = city.lines_of("step_started", since=since)
    begun = [(line.alarm, line.data["step"]) for line in steps]
    assert len(begun) == len(set(begun)), f"a step began twice: {begun}"
    assert len(city.lines_of("raised", since=since)) == len({line.alarm for line in steps})
    return steps


def serves_elsewhere(city: City, community: str, before: Relay) -> float:
    """Wait until another relay holds a community; how long that took, in seconds."""
    began = time.monotonic()
    until(lambda: city.holder(community) not in (None, before), f"another relay serves {community}", FAILOVER_S)
    return time.monotonic() - began


def test_a_killed_relays_alarm_goes_on_elsewhere_and_its_deadline_is_kept(
    city: City, record_property: RecordProperty
) -> None:
    """kill -9 of the holder while the first bell sounds: the second one rings when the first's time is over."""
    since, first = city.mark(), held(city, WEST)
    city.panel(WEST).press("help")
    alarm = raised(city, since)
    until(lambda: city.bell(WEST).now.sounding, "the first bell sounds")
    first.kill()
    took_s = serves_elsewhere(city, WEST, first)
    until(lambda: city.bell(WEST, 2).now.sounding, "the second bell sounds", FIRST_WAIT_S + 5)
    second = next(line for line in check_steps(city, since) if line.data["step"] == 2)
    late_s = (second.at - alarm.at - timedelta(seconds=FIRST_WAIT_S)).total_seconds()
    assert abs(late_s) <= TOLERANCE_S
    record_property("failover", {"relay killed: served elsewhere after": took_s, "deadline late by": late_s})
    city.help_arrives(WEST)


def test_a_press_just_after_its_relay_was_killed_is_answered_by_the_next_within_the_time(
    city: City, record_property: RecordProperty
) -> None:
    since, first = city.mark(), held(city, WEST)
    first.kill()
    began = time.monotonic()
    city.panel(WEST).press("help")
    until(lambda: city.lines_of("raised", since=since), "the press is committed", FAILOVER_S)
    took_s = time.monotonic() - began
    until(lambda: city.panel(WEST).now.stage == "ringing", "the panel says that a bell rings")
    raised(city, since)
    check_steps(city, since)
    record_property("failover", {"relay killed, then a press: committed after": took_s})
    city.help_arrives(WEST)


def test_a_relay_stopped_in_mid_alarm_for_many_leases_rings_nobody_twice_when_it_goes_on(
    city: City, record_property: RecordProperty
) -> None:
    """SIGSTOP of the holder, which is ten leases later as if nothing had happened; another has done its work."""
    since, stale = city.mark(), held(city, WEST)
    city.panel(WEST).press("help")
    raised(city, since)
    until(lambda: city.bell(WEST).now.sounding, "the first bell sounds")
    fence = city.fences()[WEST]
    stale.pause()
    try:
        took_s = serves_elsewhere(city, WEST, stale)
        assert city.fences()[WEST] > fence
        until(lambda: city.bell(WEST, 2).now.sounding, "the second bell sounds", FIRST_WAIT_S + 5)
        city.bell(WEST, 2).press("answer")
        until(lambda: city.panel(WEST).now.stage == "coming", "the panel says that somebody comes")
        seen = {name: len(device.sightings) for name, device in city.devices.items()}
    finally:
        stale.resume()
    # Which of the two comes first hangs on what woke first: its beat, or the turn that it was in.
    until(lambda: stale.heard("write.refused") or stale.heard("leases.lost"), "the stale one learns that it is one")
    until(city.is_shared, "the two share the city again")
    for name, device in city.devices.items():
        for sighting in device.sightings[seen[name] :]:
            assert not sighting.sounding, f"{name} rang again: {sighting}"
            assert sighting.rev >= device.sightings[seen[name] - 1].rev, f"{name} was told something older"
    check_steps(city, since)
    record_property("failover", {"relay stopped: served elsewhere after": took_s})
    city.panel(WEST).press("ok")
    until(lambda: city.bell(WEST, 2).now.light == "mine", "the helper is there")
    city.bell(WEST, 2).press("answer", ms=1_200)


def test_a_commit_that_a_stopped_relay_had_under_way_is_refused_and_nothing_of_it_is_said(city: City) -> None:
    """Stopped between the check of its number and its commit, the transaction open: the next holder does not wait."""
    since, stale = city.mark(), held(city, WEST)
    with city.connect() as gate:
        gate.autocommit = False
        gate.execute("LOCK TABLE event IN EXCLUSIVE MODE")  # reading goes on, writing waits
        city.panel(WEST).press("help")
        until(
            lambda: city.ask(
                "SELECT 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
                "WHERE NOT l.granted AND a.application_name = %s",
                f"relay-{stale.short}",
            ),
            "the holder's commit waits",
        )
        stale.pause()
    try:
        serves_elsewhere(city, WEST, stale)
        until(lambda: city.bell(WEST).now.sounding, "the bell sounds all the same", FAILOVER_S)
        alarm = raised(city, since)
    finally:
        stale.resume()
    refused = until(lambda: stale.heard("write.refused"), "the database refuses the stale one's commit")
    assert refused[0]["communities"] == [WEST]
    city.help_arrives(WEST)
    assert raised(city, since).alarm == alarm.alarm
    check_steps(city, since)
    assert not [line for line in stale.heard("alarm.raised") if line["alarm"] == alarm.alarm], "it logs what it wrote"


def test_a_relay_more_takes_its_share_and_one_that_ends_gives_it_back_with_presses_all_along(
    city: City, record_property: RecordProperty
) -> None:
    """Two communities for three relays: the newcomer takes over from one that is asked to end, in good order."""
    since = city.mark()
    leaving, newcomer = held(city, WEST), city.relays["three"]
    newcomer.start()
    until(lambda: city.ask("SELECT 1 FROM member WHERE name = 'three' AND ready"), "the third relay is ready")
    presses = 0
    city.panel(WEST).press("help")
    presses += 1
    until(lambda: city.bell(WEST).now.sounding, "the bell sounds")
    began = time.monotonic()
    assert leaving.stop() == 0
    while city.holder(WEST) in (None, leaving):
        assert time.monotonic() - began < FAILOVER_S
        city.panel(WEST).press("help")
        presses += 1
    took_s = time.monotonic() - began
    until(lambda: city.panel(WEST).now.outbox == 0, "every press has its receipt", 40.0)
    alarm = raised(city, since)
    again = [line for line in city.lines_of("pressed_again", since=since) if line.alarm == alarm.alarm]
    assert len(again) == presses - 1, "each press is counted once"
    assert [line["why"] for line in leaving.heard("leases.given")][-1:] == ["leaving"]
    record_property("failover", {"relay ended in good order: served elsewhere after": took_s, "presses": presses})
    city.help_arrives(WEST)
    leaving.start()
    until(lambda: city.ask("SELECT 1 FROM member WHERE name = %s AND ready", leaving.short), "it is back")
    assert newcomer.stop() == 0


@pytest.mark.parametrize("node", range(3))
def test_any_server_of_the_broker_may_die_while_a_press_is_made(
    city: City, node: int, record_property: RecordProperty
) -> None:
    """Two of three are enough, if both have all: the next one dies when the one before has caught up."""
    since = city.mark()
    victim = city.cluster.nodes[node]
    victim.kill()
    began = time.monotonic()
    city.panel(WEST).press("help")
    try:
        until(lambda: city.bell(WEST).now.sounding, "the bell sounds", 30.0)
        took_s = time.monotonic() - began
        city.help_arrives_without_rest(WEST)
    finally:
        victim.start()
        victim.await_service()
        city.cluster.await_current()
    raised(city, since)
    check_steps(city, since)
    record_property("failover", {f"broker's server {node + 1} killed, then a press: the bell sounds after": took_s})


def test_a_relay_that_the_broker_no_longer_hears_gives_its_communities_away(
    city: City, record_property: RecordProperty
) -> None:
    """Its lines to all servers are dead, and nobody tells it so."""
    since, deaf = city.mark(), held(city, WEST)
    for line in deaf.to_brokers:
        line.go_dead()
    try:
        city.panel(WEST).press("help")
        took_s = serves_elsewhere(city, WEST, deaf)
        until(lambda: city.bell(WEST).now.sounding, "the bell sounds")
    finally:
        for line in deaf.to_brokers:
            line.mend()
    raised(city, since)
    record_property("failover", {"relay cut off from the broker: served elsewhere after": took_s})
    city.help_arrives(WEST)
    check_steps(city, since)


def test_a_relay_that_is_cut_off_from_the_database_is_overtaken(city: City, record_property: RecordProperty) -> None:
    since, lost = city.mark(), held(city, WEST)
    lost.to_database.go_dead()
    try:
        city.panel(WEST).press("help")
        took_s = serves_elsewhere(city, WEST, lost)
        until(lambda: city.bell(WEST).now.sounding, "the bell sounds")
    finally:
        lost.to_database.mend()
    raised(city, since)
    record_property("failover", {"relay cut off from the database: served elsewhere after": took_s})
    city.help_arrives(WEST)
    check_steps(city, since)
    assert EXPIRE_S < FAILOVER_S


def test_every_connection_to_the_database_may_break_and_the_server_may_lose_its_power(
    city: City, record_property: RecordProperty
) -> None:
    since = city.mark()
    city.panel(WEST).press("help")
    city.cut_database()
    began = time.monotonic()
    until(lambda: city.bell(WEST).now.sounding, "the bell sounds")
    took_s = time.monotonic() - began
    city.crash_database()
    city.panel(EAST).press("help")
    began = time.monotonic()
    until(lambda: city.bell(EAST).now.sounding, "the other bell sounds")
    record_property(
        "failover",
        {
            "sessions at the database ended, with a press: the bell sounds after": took_s,
            "database crashed and started again, then a press: the bell sounds after": time.monotonic() - began,
        },
    )
    for community in (WEST, EAST):
        raised(city, since, community)
        city.help_arrives_without_rest(community)
    check_steps(city, since)
