"""Who may use the stand-in workspace, and the tokens it has given out."""

import secrets
import time
from dataclasses import dataclass
from uuid import uuid4

SIGN_IN_SECONDS = 3600


@dataclass(frozen=True)
class Identity:
    """A user, or a service principal, whose name is its application id."""

    user_name: str
    id: str

    @property
    def is_user(self) -> bool:
        """True for a person."""
        return "@" in self.user_name


@dataclass(frozen=True)
class Credential:
    """A password for Postgres."""

    token: str
    user_name: str
    expires: float


class Identities:
    """The users, and their tokens for the API and for Postgres."""

    def __init__(self) -> None:
        self.credential_seconds = 3600.0  # of the passwords to come
        self.sign_in_seconds = SIGN_IN_SECONDS  # of the tokens of service principals to come
        self.credentials: dict[str, Credential] = {}
        self.groups: dict[str, list[str]] = {}  # of each user, by name
        self._tokens: dict[str, Identity] = {}
        self._expires: dict[str, float] = {}  # of tokens that do, by time.time()
        self._secrets: dict[str, str] = {}

    def add_user(self, user_name: str) -> str:
        """Return a personal access token of a new user."""
        return self._token("dapi", Identity(user_name, str(secrets.randbelow(10**12))))

    def add_service_principal(self, client_id: str = "") -> tuple[str, str]:
        """Return the client id and the secret of a new service principal."""
        client_id = client_id or str(uuid4())
        self._secrets[client_id] = f"dose{secrets.token_hex(16)}"
        return client_id, self._secrets[client_id]

    def sign_in(self, client_id: str, secret: str) -> str | None:
        """Return a token of the service principal, when the secret is its own."""
        if not secrets.compare_digest(self._secrets.get(client_id, ""), secret) or not secret:
            return None
        token = self._token("oauth-", Identity(client_id, client_id))
        self._expires[token] = time.time() + self.sign_in_seconds
        return token

    def find(self, token: str) -> Identity | None:
        """Return whose token it is."""
        expired = time.time() > self._expires.get(token, float("inf"))
        return None if expired else self._tokens.get(token)

    def revoke(self, token: str) -> None:
        """Refuse a token from now on."""
        del self._tokens[token]

    def mint(self, identity: Identity) -> Credential:
        """Return a new password for Postgres."""
        token = f"lakebase-{secrets.token_urlsafe(32)}"
        credential = Credential(token, identity.user_name, time.time() + self.credential_seconds)
        self.credentials[token] = credential
        return credential

    def may_log_in(self, user_name: str, password: str) -> bool:
        """True when the password is an unexpired one of that user."""
        credential = self.credentials.get(password)
        return (
            credential is not None
            and credential.user_name == user_name
            and time.time() < credential.expires
        )

    def expire(self) -> None:
        """Let every password that was given out be too old."""
        self.credentials.clear()

    def _token(self, prefix: str, identity: Identity) -> str:
        token = prefix + secrets.token_hex(16)
        self._tokens[token] = identity
        return token
