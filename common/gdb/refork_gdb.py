# SPDX-License-Identifier: MIT
"""gdb commands and pretty-printers for a refork arena, in a core or alive.

    gdb -x refork_gdb.py reforkd CORE          (arena.core = include)
    gdb -x refork_gdb.py -p PID                (of the business process)

    refork slots               what the workers' states hang on
    refork heap                walk the heap: runs, classes, what is free
    refork block ADDR          the block that an address is in
    refork show KIND ADDR      a container where no type is known:
                               string pack list dict map set sorted
    $refork_root("NAME")       the address of a slot's root

`print` shows variables of the containers' types by itself. All layouts are
read from the debug info of librefork, which is part of reforkd; of the worker
nothing is needed. No memory is believed: what is damaged is told, and no walk
goes on for ever.
"""
import re
import struct

import gdb
import gdb.printing

ARENA_BASE = 0x566000000000
ARENA_MARKER = 0x414e455241464552
PAGE_SHIFT = 12
FREE_BIT = 1 << 31
RUN_KINDS = ("unused", "free", "large", "small")
TREE_LEVELS_MAX = 12
PT_LOAD = 1  # elf.h
DUMP_BYTES_MAX = 256


class Trouble(gdb.GdbError):
    """Said to the user as it is, without a stack."""


# ---- memory and types ----

def read(address, size):
    if size == 0:
        return b""
    try:
        return bytes(gdb.selected_inferior().read_memory(address, size))
    except gdb.MemoryError:
        raise Trouble(f"{size} bytes at {address:#x} cannot be read") from None


def struct_type(name):
    try:
        return gdb.lookup_type(f"struct {name}")
    except gdb.error:
        raise Trouble(f"no debug info of librefork (struct {name}): start gdb "
                      "with the reforkd that ran, not stripped") from None


def at(name, address):
    """The struct of that name at an address: a gdb.Value."""
    pointer = struct_type(name).pointer()
    return gdb.Value(int(address)).cast(pointer).dereference()


def address_of(value):
    if value.address is None:
        raise Trouble("it has no address, so what hangs on it is not known")
    return int(value.address)


def offset_of(type_name, field):
    for each in struct_type(type_name).fields():
        if each.name == field:
            return each.bitpos // 8
    raise Trouble(f"struct {type_name} has no {field}: this script is of "
                  "another version than reforkd")


def text(data):
    """Bytes as gdb shows a string."""
    if not data:
        return ""
    char = gdb.lookup_type("char")
    return gdb.Value(data, char.array(len(data) - 1))


def name_of(value):
    return bytes(read(address_of(value), value.type.sizeof)).split(
        b"\0")[0].decode(errors="backslashreplace")


def core_path():
    """None: there is no core."""
    found = re.search(r"Local core dump file:\s*`(.*)', file type",
                      gdb.execute("info files", to_string=True))
    return found and found[1]


def core_holds(path, address):
    """Whether the core itself has the byte. Where it does not, gdb reads the
    file that was mapped there, which has changed since."""
    with open(path, "rb") as core:
        head = core.read(64)
        phoff, = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        core.seek(phoff)
        table = core.read(size * count)
    for pos in range(0, len(table) - size + 1, size):
        kind, = struct.unpack_from("<I", table, pos)
        start, = struct.unpack_from("<Q", table, pos + 16)
        filled, = struct.unpack_from("<Q", table, pos + 32)
        if kind == PT_LOAD and start <= address < start + filled:
            return True
    return False


def superblock():
    core = core_path()
    if core is None and gdb.selected_inferior().pid == 0:
        raise Trouble("no program and no core: gdb reforkd CORE, or "
                      "gdb -p PID of the business process")
    if core is not None and not core_holds(core, ARENA_BASE):
        raise Trouble(f"no arena in {core}: it was made with arena.core = "
                      "exclude, or is not of a business process")
    try:
        marker = struct.unpack("<Q", read(ARENA_BASE, 8))[0]
    except Trouble:
        raise Trouble(f"no arena at {ARENA_BASE:#x}: this is not a business "
                      "process of refork") from None
    if marker != ARENA_MARKER:
        raise Trouble(f"what stands at {ARENA_BASE:#x} is no arena: its "
                      f"marker is {marker:#x}; a build that was never "
                      "finished")
    return at("rf_super", ARENA_BASE)


# ---- items of a pack ----

def number_of(item):
    """The bytes of a number's item: see pack_form.h."""
    if len(item) == 1:
        return item[0]
    bits = (len(item) - 1) * 8
    rest = int.from_bytes(item[1:-1], "little")
    value = rest << 4 | item[0] & 15 | (item[-1] & 15) << (bits - 4)
    return value - (1 << bits) if value >> (bits - 1) else value


def split_pack(row, count):
    """The items in the bytes of a pack: int, or bytes."""
    pos = 0
    for index in range(count):
        if pos >= len(row):
            raise Trouble(f"the pack ends before its item {index}")
        form = row[pos]
        if form < 0x80:
            size, item = 1, form
        elif form < 0xc0:
            size = form - 0x80 + 2
            item = row[pos + 1:pos + size - 1]
        elif form < 0xf0:
            size = {0xc0: 3, 0xd0: 5, 0xe0: 9}[form & 0xf0]
            item = number_of(row[pos:pos + size])
        else:
            width = form - 0xf0
            bytes_in = int.from_bytes(row[pos + 1:pos + 1 + width], "little")
            size = bytes_in + 2 + 2 * width
            item = row[pos + 1 + width:pos + 1 + width + bytes_in]
        pos += size
        if pos > len(row):
            raise Trouble(f"item {index} of the pack goes beyond its end")
        yield item


def pack_items(address):
    pack = at("rf_pack", address)
    head, end = int(pack["head"]), int(pack["end"])
    if head > end:
        raise Trouble(f"the pack at {address:#x} ends before it begins")
    start = address + offset_of("rf_pack", "at") + head
    return split_pack(read(start, end - head), int(pack["count"]))


def pack_count(address):
    return int(at("rf_pack", address)["count"])


# ---- what hangs in what ----

def dict_entries(address):
    """(key, word, address of the entry), of each bucket in turn."""
    table = at("rf_dict", address)
    left, buckets = int(table["count"]), int(table["bucket_count"])
    for index in range(buckets):
        entry = int(table["segments"][index // 512][index % 512])
        while entry:
            if left == 0:
                raise Trouble("the dict has more entries than it counts: its "
                              "chains are damaged")
            found = at("rf_dict_entry", entry)
            key = entry + offset_of("rf_dict_entry", "key")
            yield (read(key, int(found["key_bytes"])), int(found["word"]),
                   entry)
            left -= 1
            entry = int(found["next"])
    if left:
        raise Trouble(f"{left} entries less than the dict counts")


def tree_slots(node_address, level=None):
    """The leaves' slots from left to right: (to, score as bits)."""
    node = at("rf_tree_node", node_address)
    found, stride = int(node["level"]), int(node["stride"])
    if found >= TREE_LEVELS_MAX or level is not None and found != level:
        raise Trouble(f"the tree node at {node_address:#x} is damaged")
    size = struct_type("rf_tree_slot").sizeof
    start = node_address + offset_of("rf_tree_node", "slots")
    slots = read(start, int(node["used"]) * stride * size)
    for pos in range(0, len(slots), stride * size):
        to, word = struct.unpack_from("<QQ", slots, pos)
        if found == 0:
            yield to, word
        else:
            yield from tree_slots(to, found - 1)


def tree_of(tree):
    root = int(tree["root"])
    return tree_slots(root) if root else iter(())


def string_text(address):
    found = at("rf_string", address)
    return read(address + offset_of("rf_string", "text"), int(found["bytes"]))


def map_value(word):
    """See map_value.h."""
    kind = word & 7
    if kind == 1:
        return word.to_bytes(8, "little")[1:1 + (word >> 3 & 31)]
    if kind == 2:
        return (word - (1 << 64) if word >> 63 else word) >> 3
    if kind == 3:
        block = word & ~7
        return read(block + 1, read(block, 1)[0])
    return string_text(word) if word else b""


def score_of(item):
    """See sorted_pack.c."""
    if isinstance(item, bytes):
        if item[:1] == b"=":
            return struct.unpack("<d", item[1:9])[0]
        return float(item.decode(errors="replace"))
    return float(item)


def set_numbers(address):
    array = at("rf_set_array", address)
    count, width = int(array["count"]), int(array["width"])
    code = {2: "h", 4: "i", 8: "q"}.get(width)
    if code is None:
        raise Trouble(f"the set at {address:#x} is damaged: width {width}")
    start = address + offset_of("rf_set_array", "at")
    return struct.unpack(f"<{count}{code}", read(start, count * width))


def pairs(items):
    items = iter(items)
    return zip(items, items)


# ---- containers: (how many, what) by the address of the struct ----

def of_string(address):
    yield string_text(address)


def of_pack(address):
    return pack_items(address)


def of_list(address):
    word = int(at("rf_list", address)["word"])
    if not word & 1:
        if word:
            yield from pack_items(word)
        return
    for pack, _ in tree_of(at("list_big", word & ~1)["tree"]):
        yield from pack_items(pack)


def of_dict(address):
    for key, word, _ in dict_entries(address):
        yield key, word


def of_map(address):
    word = int(at("rf_map", address)["word"])
    if word & 1:
        for key, value, _ in dict_entries(word & ~1):
            yield key, map_value(value)
    elif word:
        yield from pairs(pack_items(word))


def of_set(address):
    word = int(at("rf_set", address)["word"])
    if word & 1:
        for key, _, _ in dict_entries(word & ~1):
            yield key
    elif word:
        yield from set_numbers(word)


def of_sorted(address):
    word = int(at("rf_sorted", address)["word"])
    if not word & 1:
        if word:
            for member, score in pairs(pack_items(word)):
                yield member, score_of(score)
        return
    key = offset_of("rf_dict_entry", "key")
    for entry, bits in tree_of(at("sorted_big", word & ~1)["tree"]):
        size = int(at("rf_dict_entry", entry)["key_bytes"])
        yield (read(entry + key, size),
               struct.unpack("<d", struct.pack("<Q", bits))[0])


def big_count(address, name, big, count, per_item=1):
    """Of a container of one word."""
    word = int(at(name, address)["word"])
    if not word:
        return 0
    if word & 1:
        return int(count(at(big, word & ~1)))
    return pack_count(word) // per_item


def set_count(address):
    word = int(at("rf_set", address)["word"])
    if not word:
        return 0
    big = "rf_dict" if word & 1 else "rf_set_array"
    return int(at(big, word & ~1)["count"])


COUNTS = {
    "pack": pack_count,
    "list": lambda a: big_count(a, "rf_list", "list_big",
                                lambda big: big["tree"]["weight"]),
    "dict": lambda a: int(at("rf_dict", a)["count"]),
    "map": lambda a: big_count(a, "rf_map", "rf_dict",
                               lambda big: big["count"], 2),
    "set": set_count,
    "sorted": lambda a: big_count(a, "rf_sorted", "sorted_big",
                                  lambda big: big["dict"]["count"], 2),
}

# What it holds, and whether that is pairs.
KINDS = {
    "string": (of_string, False),
    "pack": (of_pack, False),
    "list": (of_list, False),
    "dict": (of_dict, True),
    "map": (of_map, True),
    "set": (of_set, False),
    "sorted": (of_sorted, True),
}


# ---- pretty-printers ----

def shown(item):
    return text(item) if isinstance(item, bytes) else item


class Container:
    """One printer for all: what differs is in KINDS and COUNTS."""

    def __init__(self, value):
        self.value = value
        self.kind = value.type.strip_typedefs().tag[len("rf_"):]

    def to_string(self):
        try:
            count = COUNTS[self.kind](address_of(self.value))
        except Trouble as trouble:
            return f"rf_{self.kind}, damaged: {trouble}"
        return f"rf_{self.kind} of {count}"

    def display_hint(self):
        return "map" if KINDS[self.kind][1] else "array"

    def children(self):
        index = 0
        try:
            for item in KINDS[self.kind][0](address_of(self.value)):
                for part in item if isinstance(item, tuple) else (item,):
                    yield f"[{index}]", shown(part)
                    index += 1
        except Trouble as trouble:
            if index % 2 and KINDS[self.kind][1]:
                yield f"[{index}]", "?"
            yield f"[{index + 1}]", f"damaged: {trouble}"
            if KINDS[self.kind][1]:
                yield f"[{index + 2}]", "?"


class String:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        try:
            return text(string_text(address_of(self.value)))
        except Trouble as trouble:
            return f"rf_string, damaged: {trouble}"


class Slot:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        slot = self.value
        name = name_of(slot["name"])
        if not name:
            return "a free slot"
        return (f"slot '{name}': '{name_of(slot['type'])}', version "
                f"{int(slot['version'])}, {int(slot['bytes'])} bytes at "
                f"{int(slot['root']):#x}")


def make_printers():
    printers = gdb.printing.RegexpCollectionPrettyPrinter("refork")
    for kind in KINDS:
        printers.add_printer(
            f"rf_{kind}", f"^rf_{kind}$",
            String if kind == "string" else Container)
    printers.add_printer("rf_slot", "^rf_slot$", Slot)
    return printers


# ---- the heap ----

class Heap:
    """The runs of the heap, read at once."""

    def __init__(self):
        self.superblock = superblock()
        self.shm = self.superblock["heap"]
        self.start = ARENA_BASE + int(self.superblock["heap_off"])
        self.pages = int(self.shm["page_count"])
        self.runs = list(self.read_runs())

    def read_runs(self):
        size = struct_type("rf_run").sizeof
        count = int(self.shm["run_count"])
        entries = read(ARENA_BASE + int(self.superblock["runs_off"]),
                       count * size)
        where = {name: offset_of("rf_run", name) for name in (
            "first", "pages", "kind", "klass", "hole")}
        union = self.union_offset()
        for pos in range(0, len(entries), size):
            run = {"number": pos // size}
            for name in ("first", "pages"):
                run[name], = struct.unpack_from("<I", entries,
                                                pos + where[name])
            for name in ("kind", "klass", "hole"):
                run[name] = entries[pos + where[name]]
            run["bytes"], = struct.unpack_from("<Q", entries, pos + union)
            run["bitmap"] = entries[pos + union:pos + size]
            yield run

    @staticmethod
    def union_offset():
        for field in struct_type("rf_run").fields():
            if field.type.code == gdb.TYPE_CODE_UNION:
                return field.bitpos // 8
        raise Trouble("struct rf_run is not as this script knows it")

    @staticmethod
    def classes():
        try:
            return gdb.parse_and_eval("rf_class_table")["classes"]
        except gdb.error:
            raise Trouble("rf_class_table is not there: start gdb with the "
                          "reforkd that ran") from None

    def of_kind(self, kind):
        return [run for run in self.runs
                if run["kind"] == RUN_KINDS.index(kind)]

    def find(self, address):
        """The run that an address is in, or None."""
        page = (address - self.start) >> PAGE_SHIFT
        for run in self.runs:
            if run["kind"] and 0 <= page - run["first"] < run["pages"]:
                return run
        return None

    def problems(self):
        """Every page is of one run, and the map finds it."""
        by_page = {run["first"]: run for run in self.runs if run["kind"]}
        cells = memoryview(read(
            ARENA_BASE + int(self.superblock["map_off"]),
            self.pages * 4)).cast("I")
        page = 0
        while page < self.pages:
            run = by_page.get(page)
            if run is None or run["pages"] == 0:
                yield f"no run begins with page {page}"
                return
            if cells[page] & ~FREE_BIT != run["number"]:
                yield (f"page {page}: the map says run "
                       f"{cells[page] & ~FREE_BIT}, it is {run['number']}")
            if run["kind"] >= len(RUN_KINDS):
                yield f"run {run['number']}: kind {run['kind']}"
            page += run["pages"]
        if page != self.pages:
            yield f"the last run ends at page {page} of {self.pages}"

    def taken(self, run, blocks):
        bits = int.from_bytes(run["bitmap"], "little")
        return bin(bits & (1 << blocks) - 1).count("1")

    def class_rows(self):
        """(bytes of a block, runs, blocks taken, blocks free)."""
        classes = self.classes()
        rows = {}
        for run in self.of_kind("small"):
            kind = classes[run["klass"]]
            blocks = int(kind["blocks"])
            row = rows.setdefault(int(kind["bytes"]), [0, 0, 0])
            taken = self.taken(run, blocks)
            row[0] += 1
            row[1] += taken
            row[2] += blocks - taken
        return [(size, *row) for size, row in sorted(rows.items())]

    def block_of(self, address):
        """(start, bytes, words about it), or None: not in a run."""
        run = self.find(address)
        if run is None:
            return None
        start = self.start + (run["first"] << PAGE_SHIFT)
        length = run["pages"] << PAGE_SHIFT
        kind = RUN_KINDS[run["kind"]]
        if kind == "free":
            where = "a hole, its memory is given back" if run["hole"] else \
                "free pages"
            return start, length, where
        if kind == "large":
            return start, length, f"taken, {run['bytes']} bytes asked for"
        found = self.classes()[run["klass"]]
        size, blocks = int(found["bytes"]), int(found["blocks"])
        index = (address - start) // size
        if index >= blocks:
            return (start + blocks * size, length - blocks * size,
                    f"the rest of a run of blocks of {size} bytes")
        bit = int.from_bytes(run["bitmap"], "little") >> index & 1
        return (start + index * size, size,
                f"{'taken' if bit else 'free'}, class of {size} bytes")


# ---- commands ----

def hex_dump(address, data):
    for pos in range(0, len(data), 16):
        line = data[pos:pos + 16]
        words = " ".join(line[i:i + 8][::-1].hex()
                         for i in range(0, len(line), 8))
        signs = "".join(chr(c) if 32 <= c < 127 else "." for c in line)
        print(f"  {address + pos:#x}  {words:<33}  {signs}")


def slots_in_use():
    slots = superblock()["slots"]
    low, high = slots.type.range()
    for index in range(low, high + 1):
        if name_of(slots[index]["name"]):
            yield slots[index]


def parse_address(words):
    return int(gdb.parse_and_eval(words).cast(gdb.lookup_type("long")))


class RootFunction(gdb.Function):
    """$refork_root("NAME"): the address of the root of a slot."""

    def __init__(self):
        super().__init__("refork_root")

    def invoke(self, name):
        for slot in slots_in_use():
            if name_of(slot["name"]) == name.string():
                return slot["root"]
        raise Trouble(f"no slot is called '{name.string()}'")


class ReforkCommand(gdb.Command):
    """Look into the arena of a refork service.

refork slots, refork heap, refork block ADDR, refork show KIND ADDR."""

    def __init__(self):
        super().__init__("refork", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)


class SlotsCommand(gdb.Command):
    """List the slots: name, type, version, bytes, root."""

    def __init__(self):
        super().__init__("refork slots", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        found = superblock()
        print(f"arena of worker '{name_of(found['worker_name'])}', format "
              f"{int(found['format'])}, state version "
              f"{int(found['state_version'])}, generation "
              f"{int(found['generation'])}")
        undo = int(found["log_tail"])
        if undo:
            print(f"a transaction is open: {undo} bytes of undo log")
        for slot in slots_in_use():
            kind = name_of(slot["type"])
            more = ""
            if kind in COUNTS and int(slot["root"]):
                more = f", {COUNTS[kind](int(slot['root']))} items"
            print(Slot(slot).to_string() + more)


class HeapCommand(gdb.Command):
    """Walk the heap: what is taken, by class, and what is free."""

    def __init__(self):
        super().__init__("refork heap", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        heap = Heap()
        print(f"heap of {heap.pages} pages at {heap.start:#x}, "
              f"{int(heap.shm['used_bytes'])} bytes in blocks")
        for size, runs, taken, free in heap.class_rows():
            print(f"  small {size:>6}  runs {runs:>7}  taken {taken:>9}  "
                  f"free {free:>9}")
        large = heap.of_kind("large")
        print(f"  large         runs {len(large):>7}  bytes "
              f"{sum(run['bytes'] for run in large)}")
        for name, hole in (("free", 0), ("hole", 1)):
            runs = [run["pages"] for run in heap.of_kind("free")
                    if run["hole"] == hole]
            print(f"  {name}          runs {len(runs):>7}  pages "
                  f"{sum(runs)}, longest {max(runs, default=0)}")
        problems = list(heap.problems())
        for problem in problems:
            print(f"damaged: {problem}")
        if not problems:
            print("every page is of one run")


class BlockCommand(gdb.Command):
    """The block of the heap that an address is in, with its first bytes."""

    def __init__(self):
        super().__init__("refork block", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        if not argument.strip():
            raise Trouble("refork block ADDR: an address, or an expression")
        address = parse_address(argument)
        heap = Heap()
        found = heap.block_of(address)
        if found is None:
            raise Trouble(f"{address:#x} is in no run of the heap, which is "
                          f"{heap.start:#x} to "
                          f"{heap.start + (heap.pages << PAGE_SHIFT):#x}")
        start, size, words = found
        print(f"block at {start:#x} of {size} bytes, {words}; "
              f"{address:#x} is {address - start} bytes into it")
        for slot in slots_in_use():
            if int(slot["root"]) == start:
                print(f"it is the root of {Slot(slot).to_string()}")
        if not words.startswith("a hole"):
            hex_dump(start, read(start, min(size, DUMP_BYTES_MAX)))


class ShowCommand(gdb.Command):
    """Print what stands at an address as a container: refork show dict ADDR.

Kinds: string pack list dict map set sorted."""

    def __init__(self):
        super().__init__("refork show", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        kind, _, address = argument.strip().partition(" ")
        if kind not in KINDS or not address:
            raise Trouble("refork show KIND ADDR, KIND one of "
                          + " ".join(KINDS))
        superblock()
        value = at(f"rf_{kind}", parse_address(address))
        print(value.format_string())


gdb.printing.register_pretty_printer(None, make_printers(), replace=True)
for command in (ReforkCommand, SlotsCommand, HeapCommand, BlockCommand,
                ShowCommand, RootFunction):
    command()
