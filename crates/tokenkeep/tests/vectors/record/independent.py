"""A second implementation of the record, written from docs/format.md alone.

independent.py write            writes the vectors beside this file again (they are fixed: nothing is random)
independent.py check FOLDER     checks them, and the records that the Rust tests have just written into FOLDER
"""

import base64
import hashlib
import json
import pathlib
import struct
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HERE = pathlib.Path(__file__).parent
MAGIC = b"\x89TKR"
KINDS = {"user": 1, "obo": 2, "app": 3, "key": 4}
OWN = 255


class Refused(Exception):
    """The record cannot be opened; the message is the code of the error."""


def hkdf(key, salt, purpose, length):
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=purpose).derive(key)


def identity(vector):
    kind, text, other = vector["kind"], vector["text"], vector.get("other")
    if kind == "user":
        text = text.lower()
    elif kind == "app":
        text = f"{text}_{other}".lower()
    return f"{kind}\0{text}"


def shortened(text):
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:20]).decode().rstrip("=")


def name_of(vector):
    own = shortened(identity(vector))
    if vector["kind"] != "obo":
        return f"{vector['prefix']}:{{{own}}}"
    caller = vector.get("other")
    slot = shortened(f"user\0{caller.lower()}") if caller else own
    return f"{vector['prefix']}:{{{slot}}}:a:{own}"


def associated_data(header, vector):
    data = header
    for part in ("server-record", name_of(vector)):
        text = part.encode()
        data += struct.pack(">Q", len(text)) + text
    return data


def cipher(key, revision):
    derived = hkdf(key, revision, b"tokenkeep record 1", 44)
    return AESGCM(derived[:32]), derived[32:]


def key_id(key):
    return hkdf(key, None, b"tokenkeep record, key id", 16)


def open_record(record, vector):
    if len(record) < 60 or record[:4] != MAGIC:
        raise Refused("damaged")
    version, algorithm, flags, kind = record[4:8]
    if (version, algorithm, flags) != (1, 1, 0) or kind not in (1, 2, 3, 4, OWN):
        raise Refused("unknown_format")
    if len(record) < 76:
        raise Refused("damaged")
    header, revision, wanted = record[:60], record[8:24], record[24:40]
    key = next((key for key in map(bytes.fromhex, vector["keys"]) if key_id(key) == wanted), None)
    if key is None:
        raise Refused("missing_key")
    if len(record) != 76 + struct.unpack(">I", record[56:60])[0] or kind != KINDS.get(vector["kind"], OWN):
        raise Refused("damaged")
    opener, nonce = cipher(key, revision)
    try:
        return opener.decrypt(nonce, record[60:], associated_data(header, vector))
    except InvalidTag:
        raise Refused("damaged") from None


def fixed(label, length):
    """Returns pseudo-random bytes that are the same each time."""
    return hashlib.shake_256(b"tokenkeep test record: " + label.encode()).digest(length)


def seal(about, kind, text, content, other=None, prefix="tk:shop"):
    key, revision = fixed("key", 32), fixed(about, 16)
    vector = {"about": about, "prefix": prefix, "kind": kind, "text": text}
    if other is not None:
        vector["other"] = other
    written = 1_800_000_000_000
    header = MAGIC + bytes([1, 1, 0, KINDS.get(kind, OWN)]) + revision + key_id(key)
    header += struct.pack(">QQI", written, written + 7_776_000_000, len(content))
    sealer, nonce = cipher(key, revision)
    data = associated_data(header, vector)
    return vector | {
        "keys": [key.hex()],
        "name": name_of(vector),
        "revision": revision.hex(),
        "key_id": key_id(key).hex(),
        "nonce": nonce.hex(),
        "associated_data": data.hex(),
        "content": content.hex(),
        "record": (header + sealer.encrypt(nonce, content, data)).hex(),
    }


def vectors():
    cache = b'{"Account":{"uid.utid-login.example-utid":{"home_account_id":"uid.utid"}}}'
    user = seal("The tokens of a user.", "user", "UID.utid", cache)
    whole = bytes.fromhex(user["record"])

    def refused(error, about, record=whole, **changes):
        vector = user | {"about": about, "record": record.hex(), "error": error} | changes
        return vector | {"name": name_of(vector)}

    def changed(at, value):
        return whole[:at] + bytes([value]) + whole[at + 1 :]

    yield "user", user
    yield "empty", seal("No content at all.", "user", "uid.utid", b"")
    yield "obo", seal("A call on behalf of a user.", "obo", "hash_of-the-assertion", cache, "UID.utid")
    yield "obo-without-caller", seal("A call whose assertion names no user.", "obo", "another-hash", cache)
    yield "app", seal("An app in a tenant.", "app", "Client", cache, "Tenant")
    yield "key-ring", seal("Wrapped data keys.", "key", "ring", b'{"keys":[]}')
    yield "own", seal("A kind of the program's own.", "session", "caf\u00e9", "\u30c8\u30fc".encode(), prefix="tk:\u00e4")
    several = user | {"about": "A ring with several keys.", "keys": [fixed("other", 32).hex(), user["keys"][0]]}
    yield "several-keys", several
    yield "refused-key", refused("missing_key", "Another key.", keys=[fixed("other", 32).hex()])
    yield "refused-altered", refused("damaged", "One bit of the content.", changed(60, whole[60] ^ 1))
    yield "refused-expiry", refused("damaged", "A later expiry.", changed(55, whole[55] ^ 1))
    yield "refused-place", refused("damaged", "In another user's place.", text="other.utid")
    yield "refused-prefix", refused("damaged", "In another app's place.", prefix="tk:bank")
    yield "refused-kind", refused("damaged", "In a session's place.", kind="session", text="uid.utid")
    yield "refused-truncated", refused("damaged", "Cut short.", whole[:-1])
    yield "refused-short", refused("damaged", "Shorter than a record.", whole[:70])
    yield "refused-plaintext", refused("damaged", "No record at all.", cache)
    yield "refused-version", refused("unknown_format", "A newer version.", changed(4, 2))
    yield "refused-flags", refused("unknown_format", "A flag of a newer release.", changed(6, 1))


def check(path):
    vector = json.loads(path.read_text())
    assert name_of(vector) == vector["name"], path
    try:
        content = open_record(bytes.fromhex(vector["record"]), vector)
        assert "error" not in vector, f"{path}: opened, expected {vector['error']}"
        assert content.hex() == vector["content"], path
    except Refused as refusal:
        assert str(refusal) == vector.get("error"), f"{path}: {refusal}"


def main():
    if sys.argv[1:] == ["write"]:
        for name, vector in vectors():
            (HERE / f"{name}.json").write_text(json.dumps(vector, indent=2, ensure_ascii=False) + "\n")
        return
    folders = [HERE, pathlib.Path(sys.argv[2])]
    paths = [path for folder in folders for path in sorted(folder.glob("*.json"))]
    for path in paths:
        check(path)
    written = {name: json.dumps(vector, indent=2, ensure_ascii=False) + "\n" for name, vector in vectors()}
    assert written == {path.stem: path.read_text() for path in HERE.glob("*.json")}, "run: independent.py write"
    print(f"{len(paths)} records agree")


if __name__ == "__main__":
    main()
