# SPDX-License-Identifier: MIT
"""The storm's clients: each knows in advance what each of its requests must
answer.

A Player owns its keys, of every kind, and keeps a model of them. A Waiter
blocks on a queue that one Player fills: what it pops must be every number in
turn.
"""
import random
import time
from collections import Counter, deque

from service import encode

SHARED_COUNTERS = 3
BIG_BYTES = 400_000     # does not fit the ring: takes the large area


def compare(request, expected, reply):
    if callable(expected):
        expected(reply)
        return
    assert type(reply) is type(expected) and reply == expected, \
        f"{shorten(request)} answered {shorten(reply)}," \
        f" not {shorten(expected)}"


def shorten(value):
    text = repr(value)
    return text if len(text) < 200 else f"{text[:200]}... ({len(text)})"


class Client:
    """One connection, what it has asked and what must be answered."""

    def __init__(self, service, name, unix):
        self.name = name
        self.wire = service.raw(unix=unix)
        self.expected = deque()         # (request, expected or a check)
        self.sent_at = 0.0
        self.longest_pause_s = 0.0
        self.answered = 0

    def send(self, batch):
        self.expected.extend(batch)
        self.sent_at = time.monotonic()
        self.wire.send_raw(b"".join(encode(*request) for request, _ in batch))

    def on_readable(self):
        """Compare what has arrived. Returns the number of replies."""
        if not self.wire.receive_once():
            raise AssertionError(f"{self.name}: the connection was dropped")
        count = 0
        while found := self.wire.try_read():
            assert self.expected, \
                f"{self.name}: a reply to nothing: {found[0]!r}"
            request, expected = self.expected.popleft()
            compare(request, expected, found[0])
            count += 1
        self.answered += count
        return count


class Waiter(Client):
    """Pops numbers from a queue as they come."""
    DEPTH = 3       # blocking requests sent at a time

    def __init__(self, service, number):
        self.key = f"queue:{number}"
        super().__init__(service, f"waiter {number}", number % 2 == 1)
        self.popped = 0
        self.wait()

    def wait(self):
        """Ask for the next numbers, in different words."""
        words = [("BLPOP", self.key, "0"), ("BLPOP", "no:such", self.key, "0"),
                 ("BLMPOP", "0", "1", self.key, "LEFT")]
        self.send([(words[i % len(words)], self.check)
                   for i in range(self.DEPTH)])

    def check(self, reply):
        key, found = reply
        if isinstance(found, list):
            found, = found
        assert (key, found) == (self.key.encode(), b"%d" % self.popped), \
            f"{self.name}: popped {reply}, not {self.popped}"
        self.popped += 1

    def on_readable(self):
        super().on_readable()
        if not self.expected:
            self.wait()


class Player(Client):
    """Random requests, a model of what they do."""

    def __init__(self, service, number, seed, handed_out):
        super().__init__(service, f"c{number}", number % 2 == 1)
        self.random = random.Random(f"{seed}/{number}")
        self.strings = {}
        self.numbers = {}
        self.hashes = {}
        self.lists = {}
        self.scores = {}                # of sorted sets
        self.queue = f"queue:{number}"
        self.queued = 0
        self.handed_out = handed_out    # shared counter -> its values
        self.last_shared = Counter()

    def key(self, kind, count):
        return f"{self.name}:{kind}{self.random.randrange(count)}"

    # -- strings and counters --

    def set(self):
        key = self.key("s", 60)
        size = self.random.choice((1, 8, 64, 64, 300, 5000))
        if self.random.random() < 0.002:
            size = BIG_BYTES
        value = self.random.randbytes(size)
        self.strings[key] = value
        return ("SET", key, value), b"OK"

    def get(self):
        key = self.key("s", 60)
        return ("GET", key), self.strings.get(key)

    def append(self):
        key = self.key("s", 60)
        tail = self.random.randbytes(self.random.randrange(1, 40))
        self.strings[key] = self.strings.get(key, b"") + tail
        return ("APPEND", key, tail), len(self.strings[key])

    def delete(self):
        keys = {self.key("s", 60) for _ in range(self.random.randrange(1, 4))}
        gone = [key for key in keys if self.strings.pop(key, None) is not None]
        return ("DEL", *sorted(keys)), len(gone)

    def mset(self):
        pairs = {self.key("s", 60): self.random.randbytes(20)
                 for _ in range(self.random.randrange(1, 5))}
        self.strings.update(pairs)
        return ("MSET", *(part for pair in pairs.items() for part in pair)), \
            b"OK"

    def increment(self):
        key = self.key("n", 4)
        self.numbers[key] = self.numbers.get(key, 0) + 1
        return ("INCR", key), self.numbers[key]

    def increment_shared(self):
        name = f"shared:{self.random.randrange(SHARED_COUNTERS)}"

        def check(value):
            assert isinstance(value, int), value
            assert value > self.last_shared[name], \
                f"{name} went back: {self.last_shared[name]} -> {value}"
            self.last_shared[name] = value
            self.handed_out[name].append(value)
        return ("INCR", name), check

    # -- hashes: the fields are many enough to leave the compact form --

    def hset(self):
        key = self.key("h", 3)
        fields = self.hashes.setdefault(key, {})
        new = {b"f%d" % self.random.randrange(300): self.random.randbytes(12)
               for _ in range(self.random.randrange(1, 4))}
        added = len(new.keys() - fields.keys())
        fields.update(new)
        return ("HSET", key, *(part for pair in new.items() for part in pair)), \
            added

    def hget(self):
        key = self.key("h", 3)
        field = b"f%d" % self.random.randrange(300)
        return ("HGET", key, field), self.hashes.get(key, {}).get(field)

    def hdel(self):
        key = self.key("h", 3)
        field = b"f%d" % self.random.randrange(300)
        gone = self.hashes.get(key, {}).pop(field, None) is not None
        return ("HDEL", key, field), int(gone)

    # -- lists --

    def push(self):
        key = self.key("l", 3)
        items = self.lists.setdefault(key, [])
        new = [self.random.randbytes(self.random.choice((3, 30, 300)))
               for _ in range(self.random.randrange(1, 6))]
        if self.random.random() < 0.5:
            items.extend(new)
            return ("RPUSH", key, *new), len(items)
        items[:0] = new[::-1]
        return ("LPUSH", key, *new), len(items)

    def pop(self):
        key = self.key("l", 3)
        items = self.lists.setdefault(key, [])
        head = self.random.random() < 0.5
        item = items.pop(0 if head else -1) if items else None
        return ("LPOP" if head else "RPOP", key), item

    def move(self):
        source, target = self.key("l", 3), self.key("l", 3)
        items = self.lists.setdefault(source, [])
        item = items.pop() if items else None
        if item is not None:
            self.lists.setdefault(target, []).insert(0, item)
        return ("RPOPLPUSH", source, target), item

    def look(self):
        key = self.key("l", 3)
        items = self.lists.get(key, [])
        at = self.random.randrange(len(items) + 1)
        return ("LRANGE", key, at, at + 2), items[at:at + 3]

    # -- sorted sets --

    def zadd(self):
        key = self.key("z", 2)
        scores = self.scores.setdefault(key, {})
        member = b"m%d" % self.random.randrange(200)
        new = member not in scores
        scores[member] = self.random.randrange(1000)
        return ("ZADD", key, scores[member], member), int(new)

    def ranked(self, key):
        return sorted(self.scores.get(key, {}).items(),
                      key=lambda pair: (pair[1], pair[0]))

    def zrank(self):
        key = self.key("z", 2)
        ranked = self.ranked(key)
        if not ranked:
            return ("ZCARD", key), 0
        rank = self.random.randrange(len(ranked))
        return ("ZRANK", key, ranked[rank][0]), rank

    def zpop(self):
        key = self.key("z", 2)
        ranked = self.ranked(key)
        if not ranked:
            return ("ZPOPMIN", key), []
        member, score = ranked[0]
        del self.scores[key][member]
        return ("ZPOPMIN", key), [member, b"%d" % score]

    # -- several at once --

    def transaction(self):
        """MULTI, some requests, EXEC: a list of (request, expected)."""
        batch = [self.random.choice(self.CHOICES)(self)
                 for _ in range(self.random.randrange(1, 5))]

        def check(replies):
            assert isinstance(replies, list) and len(replies) == len(batch), \
                f"EXEC answered {shorten(replies)}"
            for (request, expected), reply in zip(batch, replies):
                compare(request, expected, reply)
        return [(("MULTI",), b"OK"),
                *((request, b"QUEUED") for request, _ in batch),
                (("EXEC",), check)]

    def enqueue(self):
        """For the waiter. What the push answers depends on how fast it is."""
        def check(value):
            assert isinstance(value, int) and value >= 1, value
        count = self.random.randrange(1, 4)
        numbers = range(self.queued, self.queued + count)
        self.queued += count
        return ("RPUSH", self.queue, *numbers), check

    CHOICES = [set, set, get, get, append, append, delete, mset, increment,
               increment, increment_shared, increment_shared, hset, hset,
               hget, hdel, push, push, pop, move, look, zadd, zadd, zrank,
               zpop, enqueue]

    def send_batch(self):
        size = self.random.choice((1, 1, 1, 4, 16, 100))
        batch = []
        while len(batch) < size:
            if self.random.random() < 0.1:
                batch += self.transaction()
            else:
                batch.append(self.random.choice(self.CHOICES)(self))
        self.send(batch)

    def on_readable(self):
        count = super().on_readable()
        pause = time.monotonic() - self.sent_at
        self.longest_pause_s = max(self.longest_pause_s, pause)
        return count

    # -- the end --

    def truths(self):
        """(request, expected) for all that must be there, and how many keys
        that is."""
        found = [(("GET", key), value) for key, value in self.strings.items()]
        found += [(("GET", key), b"%d" % value)
                  for key, value in self.numbers.items()]
        for key, fields in self.hashes.items():
            def check(reply, fields=fields):
                assert dict(zip(reply[0::2], reply[1::2])) == fields
            found.append((("HGETALL", key), check))
        found += [(("LRANGE", key, 0, -1), items)
                  for key, items in self.lists.items()]
        for key in self.scores:
            flat = [part for member, score in self.ranked(key)
                    for part in (member, b"%d" % score)]
            found.append((("ZRANGE", key, 0, -1, "WITHSCORES"), flat))
        keys = len(self.strings) + len(self.numbers) + sum(
            1 for kind in (self.hashes, self.lists, self.scores)
            for content in kind.values() if content)
        return found, keys
