"""Several relays on one database, each with a clock, a link and leases of its own, on one virtual time."""

from __future__ import annotations

from itertools import count

from doorbell.link import Delivery, LinkUp
from doorbell.wire import Topics
from relay.core.lease import LeaseTimes
from relay.core.register import Register
from relay.held import Held
from relay.leases import LeaseDesk
from relay.loop import BEAT_S
from relay.ports import LeaseLostError, StoreError
from relay.runtime import RelayInput, RelayRuntime
from relay.turn import Turn
from tests.relay.doubles import (
    BELLS,
    PANEL,
    C,
    FakeClock,
    FakeLink,
    FakeNotifier,
    House,
    Trace,
    TracingStore,
    neighbourhood,
)

TIMES = LeaseTimes()
RETRY_MS = 200


class Post(House):
    """One relay of several. ``paused``: its process is stopped, while its machine's clock goes on."""

    def __init__(self, name: str, store: TracingStore, retained: dict[str, bytes], boot_ms: int) -> None:
        self.name = name
        self.store = store
        self.trace = store.trace
        self.retained = retained
        self.topics = Topics()
        self.mids = 0
        self.paused = False
        self.inbox: list[RelayInput] = []
        self._again_ms = 0
        self.clock = FakeClock(mono_ms=boot_ms)
        self.runs = count(1)
        self.boot()

    def boot(self) -> None:
        """A new process under the same name."""
        self.link = FakeLink(Trace(), retained=self.retained)
        self.notifier = FakeNotifier(self.trace)
        self.held = Held()
        self.relay = RelayRuntime(self.store, self.link, self.notifier, self.clock, self.topics, held=self.held)
        self.relay.start()
        self.unheard_from_ms: int | None = None
        """Since when the broker does not give back what the relay says to itself."""
        self.desk = LeaseDesk(
            self.store.leases,
            self.relay,
            self.name,
            times=TIMES,
            new_run=lambda: f"{self.name}/{next(self.runs)}",
            silent_ms=lambda now_ms: 0 if self.unheard_from_ms is None else now_ms - self.unheard_from_ms,
        )

    def turn(self, *inputs: RelayInput) -> Turn:
        """As the loop does it."""
        self.desk.tend()
        while True:
            turn = self.relay.decide(inputs)
            try:
                return self.relay.perform(turn)
            except LeaseLostError as lost:
                self.relay.start_over(lost.communities)

    def live(self) -> None:
        """Take what waits, unless stopped; a database that does not answer leaves it waiting."""
        inputs, self.inbox = self.inbox, []
        try:
            self.turn(*inputs)
        except StoreError:
            self.inbox = inputs + self.inbox
            self._again_ms = self.clock.mono_ms + RETRY_MS

    def due_in_ms(self) -> int:
        """How long the loop sleeps."""
        if (retry_ms := self._again_ms - self.clock.mono_ms) > 0:
            return retry_ms
        if self.inbox:
            return 0
        wake_ms = min(self.relay.next_wake_ms(), self.desk.next_ms)
        return min(max(wake_ms - self.clock.mono_ms, 0), round(BEAT_S * 1000))

    def wrote(self) -> list[str]:
        """The devices that it has published to since it was last asked."""
        told = [device for kind, device in self.link.trace if kind == "publish"]
        self.link.trace.clear()
        return told


class Posts:
    """Relays by name. What a device says reaches all of them that are not cut off."""

    def __init__(self, register: Register, *names: str) -> None:
        self.store = TracingStore([], register)
        self.retained: dict[str, bytes] = {}
        self.posts: dict[str, Post] = {}
        self.deaf: set[str] = set()
        for name in names:
            self.add(name)

    def __getitem__(self, name: str) -> Post:
        return self.posts[name]

    def add(self, name: str) -> Post:
        """A relay more: connected, and it has heard which devices are there."""
        post = self.posts[name] = Post(name, self.store, self.retained, boot_ms=1_000_000 * (1 + len(self.posts)))
        if len(self.posts) > 1:
            post.clock.wall = next(iter(self.posts.values())).clock.wall
        post.inbox.append(LinkUp(1))
        post.inbox += [post.report(device, retained=True) for device in (PANEL, *BELLS)]
        return post

    def hear(self, *deliveries: Delivery) -> None:
        """Devices speak."""
        for name, post in self.posts.items():
            if name not in self.deaf:
                post.inbox += deliveries
        self.run(0)

    def run(self, ms: int) -> None:
        """Let time pass: every relay turns when it wants to, and when something waits."""
        left = ms
        while True:
            for post in self.posts.values():
                for _ in range(100):
                    if post.paused or post.due_in_ms() > 0:
                        break
                    post.live()
            if left <= 0:
                return
            awake = [post.due_in_ms() for post in self.posts.values() if not post.paused]
            step = max(min([left, *awake]), 1)
            left -= step
            for post in self.posts.values():
                post.clock.advance(step)

    def holders(self, community: str) -> list[str]:
        """Who serves a community, as they think themselves."""
        return [name for name, post in self.posts.items() if community in post.held]


def two_posts() -> Posts:
    """Two relays; C is served by ``one``, the other community by ``two``. Every device shows what it is to show."""
    posts = Posts(neighbourhood(), "two", "one")
    posts.run(12_000)
    assert (posts.holders(C), posts.holders("far")) == (["one"], ["two"])
    posts.hear(*(posts["one"].report(device) for device in (PANEL, *BELLS)))
    for post in posts.posts.values():
        post.wrote()
    return posts
