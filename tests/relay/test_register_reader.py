"""A register that takes long to read holds up no turn."""

import threading
from collections.abc import Callable

from relay.core.register import Register
from relay.ports import StoreError
from relay.register_reader import RegisterReader
from tests.device.waiting import wait_until
from tests.relay.doubles import PENG, House, neighbourhood


class SlowDisk:
    """Gives a register only once ``go`` is set."""

    def __init__(self, house: House) -> None:
        self.go = threading.Event()
        self.fails = 0
        self.asked = 0
        self._house = house

    def load(self) -> tuple[int, Register]:
        self.asked += 1
        loaded = self._house.store.load_register()
        self.go.wait(30)
        if self.fails:
            self.fails -= 1
            raise StoreError("away", retryable=True)
        return loaded


def a_relay(disk: Callable[[House], SlowDisk] = SlowDisk) -> tuple[House, SlowDisk]:
    house = House()
    slow = disk(house)
    house.relay._news._read_register = RegisterReader(slow.load)
    return house, slow


def until_it_is_known(house: House, device: str) -> None:
    """Turn after turn, as the loop does."""

    def gone() -> bool:
        house.advance(1_000)
        return device not in house.relay._register.devices

    wait_until(gone)


def test_a_press_is_served_while_a_register_is_read() -> None:
    """Reading one of a million devices took the loop's thread 10 s and more."""
    house, disk = a_relay()
    house.store.replace_register(neighbourhood(without=["button-chen"]))
    house.advance(1_000)
    assert disk.asked == 1
    house.press(1)
    assert house.rings(PENG)
    house.advance(3_000)
    assert disk.asked == 1, "one reading at a time"
    assert "button-chen" in house.relay._register.devices
    disk.go.set()
    until_it_is_known(house, "button-chen")
    assert house.rings(PENG)


def test_a_small_register_comes_into_use_at_once() -> None:
    house, disk = a_relay()
    disk.go.set()
    house.store.replace_register(neighbourhood(without=["button-chen"]))
    until_it_is_known(house, "button-chen")
    assert disk.asked == 1


def test_a_reading_that_fails_is_begun_again() -> None:
    house, disk = a_relay()
    disk.fails = 2
    disk.go.set()
    house.store.replace_register(neighbourhood(without=["button-chen"]))
    until_it_is_known(house, "button-chen")
    assert disk.asked == 3


def test_a_register_that_was_overtaken_while_it_was_read_is_read_again() -> None:
    house, disk = a_relay()
    house.store.replace_register(neighbourhood())
    house.advance(1_000)
    house.store.replace_register(neighbourhood(without=["button-chen"]))
    disk.go.set()
    until_it_is_known(house, "button-chen")
    assert disk.asked == 2


LOOK_UPS = {"bells_of", "panels_of", "groups_of", "households_of_volunteer"}


def test_every_look_up_is_made_before_a_register_is_in_use() -> None:
    house, disk = a_relay()
    disk.go.set()
    house.store.replace_register(neighbourhood(without=["button-chen"]))
    until_it_is_known(house, "button-chen")
    assert vars(house.relay._register).keys() >= LOOK_UPS


def test_every_look_up_is_made_at_a_start_and_not_by_the_first_press() -> None:
    """In a city of 100,000 it would wait for them for a third of a second."""
    house = House(settled=False)
    assert vars(house.relay._register).keys() >= LOOK_UPS
