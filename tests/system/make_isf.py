"""Makes an ISF file (Volatility 3's JSON) of a lab guest's kernel out of what the guest itself shows: its BTF
and its kallsyms. For tests: users make theirs with dwarf2json from a debug package.

    make_isf.py BTF KALLSYMS VERSION OUT.json[.xz]      VERSION: /proc/version
"""
import base64
import json
import lzma
import struct
import sys

LINK_ADDRESS = 0xFFFFFFFF81000000  # of _text, without KASLR
IMAGE_WINDOW = 0xFFFFFFFF80000000

(INT, POINTER, ARRAY, STRUCT, UNION, ENUM, FORWARD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNCTION, PROTOTYPE, VARIABLE,
 SECTION, FLOAT, DECLARATION_TAG, TYPE_TAG, ENUM64) = range(1, 20)
MODIFIERS = (TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG)
EXTRA = {INT: (4, 0), VARIABLE: (4, 0), DECLARATION_TAG: (4, 0), ARRAY: (12, 0), STRUCT: (0, 12), UNION: (0, 12),
         SECTION: (0, 12), ENUM64: (0, 12), ENUM: (0, 8), PROTOTYPE: (0, 8)}


class Btf:
    """Records by id: (name, kind, flag, size or type, words behind it)."""

    def __init__(self, data):
        magic, _version, _flags, header, types, types_length, strings, strings_length = struct.unpack_from("<HBBIIIII", data)
        assert magic == 0xEB9F, "no BTF"
        self.strings = data[header + strings:header + strings + strings_length]
        self.records = [("", 0, False, 0, ())]
        at, end = header + types, header + types + types_length
        while at < end:
            name, info, size = struct.unpack_from("<III", data, at)
            kind, count = info >> 24 & 0x1F, info & 0xFFFF
            fixed, element = EXTRA.get(kind, (0, 0))
            length = fixed + element * count
            words = struct.unpack_from(f"<{length // 4}I", data, at + 12)
            self.records.append((self.text(name), kind, bool(info >> 31), size, words))
            at += 12 + length

    def text(self, offset):
        return self.strings[offset:self.strings.index(b"\0", offset)].decode()

    def strip(self, number):
        while self.records[number][1] in MODIFIERS:
            number = self.records[number][3]
        return number

    def size_of(self, number):
        _, kind, _, size, words = self.records[self.strip(number)]
        if kind == POINTER:
            return 8
        if kind == ARRAY:
            return words[2] * self.size_of(words[0])
        return size

    def name_of(self, number):
        return self.records[number][0] or f"unnamed_{number:x}"

    def describe(self, number):
        """A field's type as the file has it; typedefs and qualifiers are left out."""
        number = self.strip(number)
        _, kind, _, _, words = self.records[number]
        if kind == POINTER:
            return {"kind": "pointer", "subtype": {"kind": "base", "name": "void"}}
        if kind == ARRAY:
            return {"kind": "array", "count": words[2], "subtype": self.describe(words[0])}
        if kind in (STRUCT, UNION):
            return {"kind": "struct" if kind == STRUCT else "union", "name": self.name_of(number)}
        if kind in (ENUM, ENUM64):
            return {"kind": "enum", "name": self.name_of(number)}
        if kind in (INT, FLOAT):
            return {"kind": "base", "name": self.name_of(number)}
        return {"kind": "function"} if kind in (FUNCTION, PROTOTYPE) else {"kind": "base", "name": "void"}

    def fields(self, number):
        _, _, flag, _, words = self.records[number]
        fields = {}
        for i in range(0, len(words), 3):
            name, kind, place = self.text(words[i]), words[i + 1], words[i + 2]
            bits, length = (place & 0xFFFFFF, place >> 24) if flag else (place, 0)
            field = {"type": self.describe(kind), "offset": bits // 8}
            if length:
                unit = self.size_of(kind)
                field["offset"] = bits // 8 // unit * unit
                field["type"] = {"kind": "bitfield", "bit_position": bits - field["offset"] * 8, "bit_length": length,
                                 "type": field["type"]}
            if not name:
                name, field["anonymous"] = f"unnamed_field_{i:x}", True
            fields[name] = field
        return fields

    def tables(self):
        bases = {"void": {"size": 0, "signed": False, "kind": "void", "endian": "little"},
                 "pointer": {"size": 8, "signed": False, "kind": "int", "endian": "little"}}
        types, enums = {}, {}
        for number, (_, kind, flag, size, words) in enumerate(self.records):
            name = self.name_of(number)
            if kind in (INT, FLOAT):
                bases.setdefault(name, {"size": size, "signed": False, "kind": "int", "endian": "little"})
            elif kind in (STRUCT, UNION):
                types.setdefault(name, {"size": size, "fields": self.fields(number),
                                        "kind": "struct" if kind == STRUCT else "union"})
            elif kind in (ENUM, ENUM64):
                constants, step = {}, 2 if kind == ENUM else 3
                for i in range(0, len(words), step):
                    value = words[i + 1] | (words[i + 2] << 32 if step == 3 else 0)
                    top = 1 << (32 * (step - 1) - 1)
                    constants[self.text(words[i])] = value - 2 * top if flag and value >= top else value
                enums.setdefault(name, {"size": size, "base": "int", "constants": constants})
        return bases, types, enums


def symbols_as_linked(kallsyms, banner):
    """The running addresses, moved back to where the kernel was linked. Modules are left out."""
    found = {}
    for line in kallsyms.splitlines():
        words = line.split()
        if len(words) == 3:
            found.setdefault(words[2], int(words[0], 16))
    shift = found["_text"] - LINK_ADDRESS
    table = {name: {"type": {"kind": "base", "name": "void"},
                    "address": address - shift if address >= IMAGE_WINDOW else address}
             for name, address in found.items()}
    table["linux_banner"]["constant_data"] = base64.b64encode(banner.encode() + b"\0").decode()
    return table


def make(btf, kallsyms, banner):
    """The file's text. `banner`: /proc/version, its line's end included."""
    bases, types, enums = Btf(btf).tables()
    return json.dumps({
        "metadata": {"linux": {"symbols": [{"kind": "system-map", "name": "kallsyms"}],
                               "types": [{"kind": "btf", "name": "vmlinux"}]},
                     "producer": {"name": "make_isf", "version": "1"}, "format": "6.2.0"},
        "base_types": bases, "user_types": types, "enums": enums,
        "symbols": symbols_as_linked(kallsyms, banner)})


def write(path, text):
    if str(path).endswith(".xz"):
        with lzma.open(path, "wt", preset=1) as file:
            file.write(text)
    else:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as btf_file, open(sys.argv[2]) as symbols_file, open(sys.argv[3]) as version_file:
        write(sys.argv[4], make(btf_file.read(), symbols_file.read(), version_file.read()))
