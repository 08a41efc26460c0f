"""Becomes kwalletd5 as pam_kwallet5 starts it: with the key of the wallet, and the environment of the session."""
import hashlib
import os
import socket

SALT_BYTES, KEY_BYTES, ROUNDS = 56, 56, 50_000

folder = os.path.join(os.environ["XDG_DATA_HOME"], "kwalletd")
os.makedirs(folder, exist_ok=True)
path = os.path.join(folder, "kdewallet.salt")
if not os.path.exists(path):
    with open(path, "wb") as file:
        file.write(os.urandom(SALT_BYTES))
with open(path, "rb") as file:
    salt = file.read()
reader, writer = os.pipe()
os.write(writer, hashlib.pbkdf2_hmac("sha512", b"password", salt, ROUNDS, KEY_BYTES))

address = os.path.join(os.environ["XDG_RUNTIME_DIR"], "kwallet5.socket")
if os.path.exists(address):
    os.unlink(address)
server = socket.socket(socket.AF_UNIX)
server.bind(address)
server.listen(1)
# Kept by the socket until kwalletd5 accepts.
login = socket.socket(socket.AF_UNIX)
login.connect(address)
login.sendall("".join(f"{name}={value}\n" for name, value in os.environ.items() if "\n" not in value).encode())
login.close()

for end in (reader, server.fileno()):
    os.set_inheritable(end, True)
os.environ["PAM_KWALLET5_LOGIN"] = "1"
os.execvp("kwalletd5", ["kwalletd5", "--pam-login", str(reader), str(server.fileno())])
