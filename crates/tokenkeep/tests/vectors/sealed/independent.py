"""A second implementation of the encrypted file, written from docs/format.md alone.

independent.py write            writes the vectors beside this file again (they are fixed: nothing is random)
independent.py check FOLDER     checks them, and the files that the Rust tests have just written into FOLDER

It encrypts twice: with `cryptography` (ChaCha20-Poly1305 under a subkey from HChaCha20, below) and with libsodium through
PyNaCl. Both must agree with each other and with the vector.
"""

import hashlib
import json
import pathlib
import struct
import sys

import nacl.bindings
import nacl.exceptions
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HERE = pathlib.Path(__file__).parent
MAGIC = b"\x89TKS\r\n\x1a\n"
SOURCES = {"keystore-item": 1, "kernel-keyring": 2, "passphrase": 3, "key-file": 4, "custom": 255}


class Refused(Exception):
    """The file cannot be opened; the message is the code of the error."""


def hkdf(key, purpose, length):
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=purpose).derive(key)


def rotate(word, bits):
    return ((word << bits) | (word >> (32 - bits))) & 0xFFFFFFFF


def hchacha20(key, nonce):
    """Returns the subkey for the first 16 bytes of an extended nonce: draft-irtf-cfrg-xchacha, section 2.2."""
    state = list(struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key) + struct.unpack("<4I", nonce))

    def quarter(a, b, c, d):
        for left, right, target, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[left] = (state[left] + state[right]) & 0xFFFFFFFF
            state[target] = rotate(state[target] ^ state[left], bits)

    for _ in range(10):
        for column in range(4):
            quarter(column, column + 4, column + 8, column + 12)
        for diagonal in range(4):
            quarter(diagonal, 4 + (diagonal + 1) % 4, 8 + (diagonal + 2) % 4, 12 + (diagonal + 3) % 4)
    return struct.pack("<8I", *state[:4], *state[12:])


def xchacha(key, nonce):
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])), bytes(4) + nonce[16:]


def encrypt(key, nonce, content, data):
    cipher, short = xchacha(key, nonce)
    ours = cipher.encrypt(short, content, data)
    assert ours == nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(content, data, nonce, key)
    return ours


def decrypt(key, nonce, sealed, data):
    cipher, short = xchacha(key, nonce)
    try:
        theirs = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, data, nonce, key)
    except nacl.exceptions.CryptoError:
        theirs = None
    try:
        ours = cipher.decrypt(short, sealed, data)
    except InvalidTag:
        ours = None
    assert ours == theirs
    if ours is None:
        raise Refused("damaged")
    return ours


def associated_data(header, partition):
    data = header
    for part in ("encrypted-file", partition):
        text = part.encode()
        data += struct.pack(">Q", len(text)) + text
    return data


def header_of(kind, length, key_id, nonce, parameters, version=1, algorithm=1, reserved=0):
    size = 62 + len(parameters) + 8
    fields = MAGIC + struct.pack(">HBBBBQ", size, version, algorithm, kind, reserved, length)
    fields += key_id + nonce + parameters
    return fields + hashlib.sha256(fields).digest()[:8]


def derive(passphrase, parameters):
    version, memory, passes, lanes = struct.unpack(">BIII", parameters[:13])
    salt = parameters[13:]
    assert (version, len(salt)) == (19, 16)
    key = Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory).derive(passphrase)
    if lanes == 1:
        pinned = nacl.bindings.crypto_pwhash_ALG_ARGON2ID13
        assert key == nacl.bindings.crypto_pwhash_alg(32, passphrase, salt, passes, memory * 1024, pinned)
    return key


def key_of(vector, parameters):
    """Returns the 32 bytes of a vector's key source."""
    if "passphrase" in vector:
        return derive(vector["passphrase"].encode(), parameters)
    key = bytes.fromhex(vector["key"])
    return key if len(key) == 32 else hkdf(key, b"tokenkeep key file", 32)


def open_file(file, vector):
    if file[:8] != MAGIC[: len(file)]:
        raise Refused("damaged")
    if len(file) < 10:
        raise Refused("truncated")
    size = struct.unpack(">H", file[8:10])[0]
    if not 19 <= size <= 1024:
        raise Refused("damaged")
    if size > len(file):
        raise Refused("truncated")
    header = file[:size]
    if hashlib.sha256(header[:-8]).digest()[:8] != header[-8:]:
        raise Refused("damaged")
    if header[10] != 1 or size < 70 or header[11] != 1 or header[13] != 0:
        raise Refused("unknown_format")
    kind, length = header[12], struct.unpack(">Q", header[14:22])[0]
    if kind != SOURCES[vector["source"]]:
        raise Refused("wrong_key")
    key = key_of(vector, header[62:-8])
    if hkdf(key, b"tokenkeep sealed file, key id", 16) != header[22:38]:
        raise Refused("wrong_key")
    if len(file) != size + length + 16:
        raise Refused("truncated" if len(file) < size + length + 16 else "damaged")
    data = associated_data(header, vector["partition"])
    return decrypt(hkdf(key, b"tokenkeep sealed file, XChaCha20-Poly1305", 32), header[38:62], file[size:], data)


def fixed(label, length):
    """Returns pseudo-random bytes that are the same each time."""
    return hashlib.shake_256(b"tokenkeep test vector: " + label.encode()).digest(length)


def seal(name, source, content, partition, parameters=b"", **key):
    vector = {"about": "", "source": source, "partition": partition}
    vector |= {field: value.hex() if isinstance(value, bytes) else value for field, value in key.items()}
    secret, nonce = key_of(vector, parameters), fixed(name + " nonce", 24)
    key_id = hkdf(secret, b"tokenkeep sealed file, key id", 16)
    header = header_of(SOURCES[source], len(content), key_id, nonce, parameters)
    data = associated_data(header, partition)
    body = encrypt(hkdf(secret, b"tokenkeep sealed file, XChaCha20-Poly1305", 32), nonce, content, data)
    vector |= {
        "parameters": parameters.hex(),
        "nonce": nonce.hex(),
        "key_id": key_id.hex(),
        "associated_data": data.hex(),
        "content": content.hex(),
        "file": (header + body).hex(),
    }
    return vector


def argon2_parameters(name, memory, passes, lanes):
    return struct.pack(">BIII", 19, memory, passes, lanes) + fixed(name + " salt", 16)


def rechecked(file, at, value):
    changed = bytearray(file)
    changed[at] = value
    size = struct.unpack(">H", file[8:10])[0]
    changed[size - 8 : size] = hashlib.sha256(changed[: size - 8]).digest()[:8]
    return bytes(changed)


def vectors():
    cache = b'{"Account":{"uid.utid-login.example-utid":{"username":"somebody@example.org"}}}'
    partition = "example/token_cache"

    def about(vector, text, **changes):
        return vector | {"about": text} | changes

    key = fixed("key", 32)
    basic = seal("basic", "key-file", cache, partition, key=key)
    whole = bytes.fromhex(basic["file"])
    yield "key-file", about(basic, "A token cache under a key of 32 bytes.")
    yield "empty-content", about(seal("empty", "key-file", b"", partition, key=key), "No content at all.")
    yield "long-key", about(
        seal("long", "key-file", cache, partition, key=fixed("long key", 48)),
        "A key file with more than 32 bytes (hexadecimal or base64): HKDF makes the key.",
    )
    yield "unicode-partition", about(
        seal("unicode", "key-file", b"opaque \x00 bytes", "caf\u00e9/\u30c8\u30fc\u30af\u30f3", key=key),
        "A partition outside ASCII, and content that is no JSON.",
    )
    yield "keystore-item", about(
        seal("item", "keystore-item", cache, partition, key=fixed("item key", 32)),
        "A key from a keystore item, which holds it as base64.",
    )
    place = fixed("boot", 16) + fixed("machine", 16) + struct.pack(">QI", 4026531837, 1000) + fixed("name", 8)
    yield "kernel-keyring", about(
        seal("kernel", "kernel-keyring", cache, partition, place, key=fixed("kernel key", 32)),
        "A key from the kernel keyring; the parameters say which kernel had it, and for whom.",
    )
    for name, costs in {"passphrase": (65536, 3, 1), "passphrase-lanes": (256, 2, 4)}.items():
        yield name, about(
            seal(name, "passphrase", cache, partition, argon2_parameters(name, *costs), passphrase="pa\u00dfw\u00f6rter"),
            "Argon2id with %d KiB, %d passes, %d lanes." % costs,
        )
    other = {"key": fixed("other key", 32).hex(), "error": "wrong_key"}
    yield "refused-wrong-key", about(basic, "The same file, another key.", **other)
    yield "refused-source", about(basic, "The same file, another kind of source.", source="keystore-item", error="wrong_key")
    yield "refused-partition", about(basic, "The same file under another name.", partition="example/other", error="damaged")
    flipped = whole[:-1] + bytes([whole[-1] ^ 1])
    yield "refused-altered", about(basic, "The last bit flipped.", file=flipped.hex(), error="damaged")
    yield "refused-truncated", about(basic, "The last byte missing.", file=whole[:-1].hex(), error="truncated")
    yield "refused-newer", about(
        basic, "Format version 2, its check right.", file=rechecked(whole, 10, 2).hex(), error="unknown_format"
    )
    yield "refused-header-damage", about(
        basic, "Format version 2, its check wrong.", file=(whole[:10] + b"\x02" + whole[11:]).hex(), error="damaged"
    )


def write():
    for name, vector in vectors():
        (HERE / f"{name}.json").write_text(json.dumps(vector, indent=2) + "\n")


def check_one(path):
    vector = json.loads(path.read_text())
    try:
        content = open_file(bytes.fromhex(vector["file"]), vector)
    except Refused as refused:
        assert str(refused) == vector.get("error"), f"{path.name}: {refused}"
        return
    assert "error" not in vector and content.hex() == vector["content"], path.name


def check(folder):
    # The example of draft-irtf-cfrg-xchacha, section 2.2.1, which shows that this implementation is right.
    expected = "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    assert hchacha20(bytes(range(32)), bytes.fromhex("000000090000004a0000000031415927")).hex() == expected
    for name, vector in vectors():
        assert json.loads((HERE / f"{name}.json").read_text()) == vector, f"{name}.json is not what the format says"
    counts = []
    for place in (HERE, folder):
        paths = sorted(place.glob("*.json"))
        assert paths, f"{place} holds no vectors"
        for path in paths:
            check_one(path)
        counts.append(len(paths))
    print("%d vectors and %d files written by the Rust implementation agree" % tuple(counts))


if sys.argv[1:] == ["write"]:
    write()
elif len(sys.argv) == 3 and sys.argv[1] == "check":
    check(pathlib.Path(sys.argv[2]))
else:
    sys.exit(__doc__)
