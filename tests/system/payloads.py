"""What a guest's process says on the wire, made by code: messages of each protocol that detection reads, and
the fingerprints that intelligence lists, computed here a second time."""
import hashlib
import hmac
import ssl
import struct


def hexed(*pieces):
    """As `send-client` takes them: each piece goes out by itself."""
    return ",".join(piece.hex() for piece in pieces)


def name_labels(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def dns_question(name, kind=1):
    return struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + name_labels(name) + struct.pack(">HH", kind, 1)


def dns_over_tcp(name):
    """Length prefix and message over three segments, the prefix itself cut."""
    question = dns_question(name)
    stream = struct.pack(">H", len(question)) + question
    return stream[:1], stream[1:20], stream[20:]


def http2_request(host, path):
    """Prior knowledge: preface, SETTINGS, and HEADERS whose fields are literals without Huffman (RFC 7541, 6.2.2)."""
    def field(name, value):
        return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value

    def frame(kind, flags, stream, content):
        return len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content

    block = (field(b":method", b"GET") + field(b":scheme", b"http") + field(b":authority", host.encode())
             + field(b":path", path.encode()))
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 5, 1, block)


def socks5_request(host, port):
    """Greeting, then the request for a name (RFC 1928)."""
    return b"\5\1\0", b"\5\1\0\3" + bytes([len(host)]) + host.encode() + struct.pack(">H", port)


# ---- TLS ---------------------------------------------------------------------------------------------

def client_hello(server_name, most=ssl.TLSVersion.TLSv1_3, alpn="http/1.1"):
    """The record that OpenSSL sends. Another protocol, another fingerprint."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = most
    if alpn:
        context.set_alpn_protocols([alpn])
    outgoing = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=server_name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def hello_fields(record):
    """Version, cipher suites and [(extension, content)] of a ClientHello record."""
    at = 5 + 4
    version = int.from_bytes(record[at:at + 2], "big")
    at += 34
    at += 1 + record[at]
    suites_end = at + 2 + int.from_bytes(record[at:at + 2], "big")
    suites = numbers(record[at + 2:suites_end])
    at = suites_end + 1 + record[suites_end] + 2
    extensions = []
    while at < len(record):
        kind, length = struct.unpack(">HH", record[at:at + 4])
        extensions.append((kind, record[at + 4:at + 4 + length]))
        at += 4 + length
    return version, suites, extensions


def numbers(content):
    return [int.from_bytes(content[at:at + 2], "big") for at in range(0, len(content), 2)]


def ja3(record):
    version, suites, extensions = hello_fields(record)
    content = dict(extensions)
    lists = (suites, [kind for kind, _ in extensions], numbers(content.get(10, b"\0\0")[2:]),
             list(content.get(11, b"\0")[1:]))
    text = ",".join([str(version)] + ["-".join(map(str, numbers_)) for numbers_ in lists])
    return hashlib.md5(text.encode()).hexdigest()


def ja4(record):
    """JA4 of a TLS client over TCP (FoxIO's BSD-licensed one)."""
    _, suites, extensions = hello_fields(record)
    content = dict(extensions)
    versions = numbers(content[43][1:]) if 43 in content else [0x303]
    version = {0x304: "13", 0x303: "12"}[max(versions)]
    protocol = content[16][3:3 + content[16][2]].decode() if 16 in content else "00"
    kinds = [kind for kind, _ in extensions]
    algorithms = ",".join(f"{number:04x}" for number in numbers(content[13][2:]))
    listed = ",".join(sorted(f"{kind:04x}" for kind in kinds if kind not in (0, 16)))

    def short(text):
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    return (f"t{version}{'d' if 0 in content else 'i'}{len(suites):02}{len(kinds):02}{protocol[0]}{protocol[-1]}_"
            f"{short(','.join(sorted(f'{suite:04x}' for suite in suites)))}_{short(listed + '_' + algorithms)}")


# ---- SSH ---------------------------------------------------------------------------------------------

SSH_LISTS = ("curve25519-sha256,ecdh-sha2-nistp256", "ssh-ed25519", "aes128-ctr", "aes256-ctr", "hmac-sha2-256",
             "hmac-sha2-512", "none", "zlib", "", "")


def ssh_client():
    """Banner, then KEXINIT (RFC 4253, 6 and 7.1)."""
    payload = b"\x14" + bytes(16)
    for names in SSH_LISTS:
        payload += struct.pack(">I", len(names)) + names.encode()
    payload += bytes(5)
    padding = 8 - (len(payload) + 5) % 8
    padding += 8 if padding < 4 else 0
    packet = struct.pack(">IB", len(payload) + 1 + padding, padding) + payload + bytes(padding)
    return b"SSH-2.0-labtool_1.0\r\n", packet


def hassh():
    return hashlib.md5(";".join(SSH_LISTS[at] for at in (0, 2, 4, 6)).encode()).hexdigest()


# ---- Tunnels -----------------------------------------------------------------------------------------

def checksum(content):
    content += b"\0" * (len(content) % 2)
    total = sum(struct.unpack(f">{len(content) // 2}H", content))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4(source, destination, protocol, payload):
    def header(checked):
        return (struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, checked)
                + bytes(map(int, source.split("."))) + bytes(map(int, destination.split("."))))
    return header(checksum(header(0))) + payload


def inner_datagram(destination):
    return ipv4("10.88.0.2", destination, 17, struct.pack(">HHHH", 40000, 9999, 13, 0) + b"inner")


def gre(destination):
    return struct.pack(">HH", 0, 0x800) + inner_datagram(destination)


def vxlan(destination):
    ethernet = bytes.fromhex("02000000000a02000000000b0800")
    return struct.pack(">II", 0x08000000, 42 << 8) + ethernet + inner_datagram(destination)


# ---- QUIC --------------------------------------------------------------------------------------------

def aes_tables():
    """S-box of AES out of its definition (FIPS 197, 5.1.1)."""
    powers, value = [0] * 256, 1
    logarithms = [0] * 256
    for exponent in range(255):
        powers[exponent], logarithms[value] = value, exponent
        value ^= (value << 1) ^ (0x11b if value & 0x80 else 0)
    box = [0] * 256
    for number in range(256):
        inverse = powers[(255 - logarithms[number]) % 255] if number else 0
        box[number] = inverse ^ 0x63
        for shift in range(1, 5):
            box[number] ^= (inverse << shift | inverse >> (8 - shift)) & 0xff
    return box


SBOX = aes_tables()


def aes128(key, block):
    """One block (FIPS 197)."""
    def doubled(value):
        return (value << 1 ^ (0x11b if value & 0x80 else 0)) & 0xff

    words, factor = [list(key[at:at + 4]) for at in range(0, 16, 4)], 1
    for at in range(4, 44):
        word = words[at - 1]
        if at % 4 == 0:
            word = [SBOX[value] for value in word[1:] + word[:1]]
            word[0] ^= factor
            factor = doubled(factor)
        words.append([one ^ other for one, other in zip(words[at - 4], word)])
    keys = [sum(words[at:at + 4], []) for at in range(0, 44, 4)]
    state = [one ^ other for one, other in zip(block, keys[0])]
    for turn in range(1, 11):
        state = [SBOX[state[(at + 4 * (at % 4)) % 16]] for at in range(16)]
        if turn < 10:
            mixed = []
            for at in range(0, 16, 4):
                column = state[at:at + 4]
                mixed += [doubled(column[i]) ^ doubled(column[(i + 1) % 4]) ^ column[(i + 1) % 4]
                          ^ column[(i + 2) % 4] ^ column[(i + 3) % 4] for i in range(4)]
            state = mixed
        state = [one ^ other for one, other in zip(state, keys[turn])]
    return bytes(state)


def aes128_gcm(key, nonce, content, header):
    """Sealed content and tag (NIST SP 800-38D), for a nonce of 12 bytes."""
    def times(one, other):
        product = 0
        for bit in range(127, -1, -1):
            product ^= other if one >> bit & 1 else 0
            other = other >> 1 ^ (0xe1 << 120 if other & 1 else 0)
        return product

    sealed = b""
    for number, at in enumerate(range(0, len(content), 16), 2):
        stream = aes128(key, nonce + struct.pack(">I", number))
        sealed += bytes(one ^ other for one, other in zip(content[at:at + 16], stream))
    hash_key, tag = int.from_bytes(aes128(key, bytes(16)), "big"), 0
    blocks = b"".join(part + bytes(-len(part) % 16) for part in (header, sealed))
    blocks += struct.pack(">QQ", 8 * len(header), 8 * len(sealed))
    for at in range(0, len(blocks), 16):
        tag = times(tag ^ int.from_bytes(blocks[at:at + 16], "big"), hash_key)
    first = int.from_bytes(aes128(key, nonce + b"\0\0\0\1"), "big")
    return sealed + (tag ^ first).to_bytes(16, "big")


def expanded(secret, label, length):
    """HKDF-Expand-Label with SHA-256 (RFC 8446, 7.1), for what one block of it gives."""
    named = b"tls13 " + label
    return hmac.digest(secret, struct.pack(">HB", length, len(named)) + named + b"\0\1", "sha256")[:length]


def quic_initial(server_name, size=1200):
    """A client's first datagram of QUIC 1 (RFC 9001, 5); the CRYPTO frame stands behind the padding."""
    connection = bytes.fromhex("0102030405060708")
    secret = hmac.digest(bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"), connection, "sha256")
    secret = expanded(secret, b"client in", 32)
    key, nonce, mask_key = (expanded(secret, label, length)
                            for label, length in ((b"quic key", 16), (b"quic iv", 12), (b"quic hp", 16)))
    hello = client_hello(server_name)[5:]
    crypto = b"\6\0" + struct.pack(">H", 0x4000 | len(hello)) + hello
    header = b"\xc3\0\0\0\1\x08" + connection + b"\0\0"
    frames = bytes(size - len(header) - 2 - 4 - 16 - len(crypto)) + crypto
    header += struct.pack(">H", 0x4000 | (4 + len(frames) + 16)) + bytes(4)
    sealed = aes128_gcm(key, nonce, frames, header)
    mask = aes128(mask_key, sealed[:16])
    number = bytes(one ^ other for one, other in zip(header[-4:], mask[1:5]))
    return bytes([header[0] ^ mask[0] & 0x0f]) + header[1:-4] + number + sealed
