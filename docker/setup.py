"""Make the passwords of docker-compose.yml, and give each service its own and no other.

Runs before everything else, as root, in the service `setup`; `show` tells the passwords that
people need. A password comes from the user's own file, else it is the one made before, else it
is made now. Only the standard library is used.
"""

import argparse
import base64
import hashlib
import os
import secrets
import sys
from pathlib import Path

# What esquirell reads from /run/secrets, and some others have to know as well.
SHARED = (
    "redis__password",
    "mqtt__password",
    "database__password",
    "web__password",
    "flower__password",
)
# Other users of the broker; config/mosquitto.acl tells what they may do.
GUESTS = ("mqtt_homeassistant", "mqtt_viewer")
NO_SECRETS = {"README.md", ".gitignore", *GUESTS}

# As mosquitto_passwd(1) does it.
PBKDF2_ROUNDS = 101
SALT_BYTES = 12

REDIS_CHANGES = """
# In its container: for the services on its network, and through a socket for one on the host's.
bind * -::*
unixsocket /run/redis/redis.sock
unixsocketperm 777
"""


class Folder:
    """A folder of root's, with files for one service alone; `owner` is `UID:GID`."""

    def __init__(self, path: Path, owner: str) -> None:
        self.path = path
        self._owner = owner

    def get(self, name: str) -> str:
        """Return what a file holds, nothing if there is none."""
        file = self.path / name
        return file.read_text().rstrip("\r\n") if file.is_file() else ""

    def put(self, name: str, text: str) -> None:
        """Write a file whole or not at all, so that no service ever reads a half one."""
        new = self.path / f".{name}"
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        give(new, self._owner)
        new.replace(self.path / name)


def main() -> int:
    """Make what is missing, or show what people need."""
    parser = argparse.ArgumentParser(description="passwords of docker-compose.yml")
    parser.add_argument("what", nargs="?", choices=["make", "show"], default="make")
    parser.add_argument("--root", type=Path, default=Path("/run/setup"))
    call = parser.parse_args()
    try:
        (show if call.what == "show" else make)(call.root)
    except OSError as error:
        print(f"setup: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 2
    return 0


def make(root: Path) -> None:
    """Make all passwords and hand each service its own. Raises OSError or ValueError."""
    service, redis = os.environ["OWNER_ESQUIRELL"], os.environ["OWNER_REDIS"]
    mosquitto, postgres = os.environ["OWNER_MOSQUITTO"], os.environ["OWNER_POSTGRES"]
    for name, owner in (("state", service), ("demo", service), ("redis-socket", redis)):
        hand_over(root / name, owner)
    own = root / "own"
    shared = share(own, Folder(root / "credentials", service))
    serve_redis(root, Folder(root / "redis", redis), shared["redis__password"])
    serve_mosquitto(root, Folder(root / "mosquitto", mosquitto), shared["mqtt__password"])
    Folder(root / "postgres", postgres).put("password", shared["database__password"])
    print("setup: every service has its passwords")


def show(root: Path) -> None:
    """Return the passwords for people."""
    mosquitto = Folder(root / "mosquitto", "0:0")
    for guest in GUESTS:
        print(f"MQTT, user {guest.removeprefix('mqtt_')}: {mosquitto.get(guest)}")
    page, flower = os.environ.get("WEB_PORT", "8155"), os.environ.get("FLOWER_PORT", "5555")
    ours = Folder(root / "credentials", "0:0")
    print(f"the page, http://localhost:{page}: {ours.get('web__password')}")
    print(f"Flower, http://localhost:{flower}, user esquirell: {ours.get('flower__password')}")


def share(own: Path, credentials: Folder) -> dict[str, str]:
    """Return esquirell the shared passwords and the user's own secrets, and nothing older."""
    found = {file.name: secret_of(file) for file in own.iterdir() if file.name not in NO_SECRETS}
    wanted = {name: credentials.get(name) or secrets.token_urlsafe(24) for name in SHARED} | found
    for name, secret in wanted.items():
        credentials.put(name, secret)
    for file in credentials.path.iterdir():
        if file.name not in wanted:
            file.unlink()
    return wanted


def serve_redis(root: Path, access: Folder, password: str) -> None:
    """Return Redis its configuration: the shipped one, its password and where to listen."""
    quoted = "".join(f"\\x{byte:02x}" for byte in password.encode())
    shipped = (root / "config" / "redis.conf").read_text()
    access.put("redis.conf", f'{shipped}{REDIS_CHANGES}requirepass "{quoted}"\n')
    access.put("password", password)


def serve_mosquitto(root: Path, access: Folder, password: str) -> None:
    """Return the broker its users and who may do what, and its health check a user."""
    own = {file.name: secret_of(file) for file in (root / "own").iterdir() if file.name in GUESTS}
    guests = {
        name: own.get(name) or access.get(name) or secrets.token_urlsafe(16) for name in GUESTS
    }
    for name, secret in guests.items():
        access.put(name, secret)
    users = {"esquirell": password}
    users |= {name.removeprefix("mqtt_"): secret for name, secret in guests.items()}
    access.put("passwd", "".join(f"{user}:{digest(word)}\n" for user, word in users.items()))
    access.put("acl", (root / "config" / "mosquitto.acl").read_text())
    access.put("mosquitto_sub", f"-u viewer\n-P {guests['mqtt_viewer']}\n")


def secret_of(file: Path) -> str:
    """Read a secret that the user gave. Raises OSError, and ValueError for one that is none."""
    secret = file.read_text(encoding="utf-8").rstrip("\r\n")
    if not secret or "\n" in secret:
        raise ValueError(f"secrets/{file.name} must hold one line, the secret")
    return secret


def digest(password: str) -> str:
    """Hash a password as mosquitto_passwd does: $7$rounds$salt$PBKDF2-SHA512."""
    salt = secrets.token_bytes(SALT_BYTES)
    hashed = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, PBKDF2_ROUNDS)
    return (
        f"$7${PBKDF2_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(hashed).decode()}"
    )


def hand_over(folder: Path, owner: str) -> None:
    """Return a folder to the one who works in it, with all in it if it was another's."""
    if owner == f"{folder.stat().st_uid}:{folder.stat().st_gid}":
        return
    for path in folder.rglob("*"):
        give(path, owner)
    give(folder, owner)


def give(path: Path, owner: str) -> None:
    """Change the owner of a file. Raises OSError, and ValueError for an owner that is none."""
    user, _, group = owner.partition(":")
    if not (user.isdecimal() and group.isdecimal()):
        raise ValueError(f"ESQUIRELL_USER must be two numbers, as in 1000:1000, not {owner}")
    os.chown(path, int(user), int(group), follow_symlinks=False)


if __name__ == "__main__":
    sys.exit(main())
