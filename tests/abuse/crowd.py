"""Many users who do all that an app offers, and remember what was acknowledged to them."""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

PAUSE_SECONDS = 10  # a user's, between two requests, at most
A_SECOND = 16  # requests of all together, at most, so that one process can answer them
POLL_SECONDS = 0.5
SAID = "What did I say?"
EXPORT = "/api/me/export"
REFUSALS = (429, 502, 503)
NAME = re.compile(r"user\d+x")  # of a user, in everything that they say
ENDED = ("completed", "failed", "incomplete", "cancelled")


@dataclass
class Answer:
    """What came back, and when."""

    asked_at: float
    status: int
    text: str
    retry_after: str


@dataclass
class Member:
    """One user of the crowd: what they were promised is kept, and where."""

    name: str
    http: httpx.AsyncClient
    answers: list[Answer] = field(default_factory=list)
    said: list[str] = field(default_factory=list)  # in their thread
    told: list[str] = field(default_factory=list)  # in their chat
    facts: list[str] = field(default_factory=list)
    broken: list[Exception] = field(default_factory=list)
    unfinished: bool = False  # the last answer in their chat, as far as they read it
    chat_id: str = field(default_factory=lambda: str(uuid4()))

    async def live(self, until: float, pause: float) -> None:
        """Do one thing after the other, with pauses of at most so many seconds."""
        acts: list[Callable[[], Awaitable[None]]]
        acts = [self.say, self.say, self.tell, self.run, self.remember, self.look]
        await asyncio.sleep(random.uniform(0, pause))
        while time.monotonic() < until:
            try:
                await random.choice(acts)()
            except httpx.TransportError as error:
                if error.request.url.path != EXPORT:  # which can only break off
                    self.broken.append(error)
            await asyncio.sleep(random.uniform(0, pause))

    async def say(self) -> None:
        """Say something in the thread; what is answered must be kept."""
        text = self._words("said", len(self.said))
        answer = await self._request("POST", "/responses", json=self._turn(text))
        self.said += [text] if answer.status == 200 else []

    async def tell(self) -> None:
        """Say something in the chat."""
        text = self._words("told", len(self.told))
        body = {"message": text, "chatId": self.chat_id}
        events = {"Accept": "text/event-stream"}
        left, self.unfinished = self.unfinished, True
        answer = await self._request("POST", "/api/chat", json=body, headers=events)
        if answer.status == 409 and left:
            self.answers.remove(answer)  # it is true: an answer goes on when its reader loses it
            return
        self.unfinished = "response.completed" not in answer.text
        self.told += [] if self.unfinished else [text]

    async def run(self) -> None:
        """Start a run in the background, and read it until it ends."""
        body = {"input": self._words("ran", 0), "background": True}
        answer = await self._request("POST", "/responses", json=body)
        if answer.status == 200:
            response_id = httpx.Response(200, text=answer.text).json()["id"]
            while not await self._ended(response_id):
                await asyncio.sleep(POLL_SECONDS)

    async def remember(self) -> None:
        """Have a fact remembered."""
        fact = self._words("fact", len(self.facts))
        body = {"input": f"Remember that my word is {fact}"}
        answer = await self._request("POST", "/responses", json=body)
        self.facts += [fact] if answer.status == 200 and "failed" not in answer.text else []

    async def look(self) -> None:
        """Read all that there is of them."""
        for path in ("/api/chats", "/api/memories", EXPORT):
            await self._request("GET", path)

    async def lost(self) -> list[str]:
        """Return what was acknowledged, and is not there."""
        thread = (await self._request("POST", "/responses", json=self._turn(SAID))).text
        rows = (await self._request("GET", EXPORT)).text
        lost = [words for words in self.said if words not in thread]
        return lost + [words for words in [*self.told, *self.facts] if words not in rows]

    def crossed(self) -> list[str]:
        """Return the names of others that were in this user's answers."""
        found = {name for answer in self.answers for name in NAME.findall(answer.text)}
        return sorted(found - {self.name})

    def untrue(self) -> list[Answer]:
        """Return the refusals that don't say when to come back, and what is no refusal."""
        refused = [answer for answer in self.answers if answer.status != 200]
        return [
            a for a in refused if a.status not in REFUSALS or not (a.retry_after or a.status == 502)
        ]

    async def _ended(self, response_id: str) -> bool:
        answer = await self._request("GET", f"/responses/{response_id}")
        return any(f'"status":"{end}"' in answer.text for end in ENDED)

    def _words(self, kind: str, number: int) -> str:
        return f"{kind}-{self.name}-{number}."

    def _turn(self, text: str) -> dict[str, Any]:
        return {"input": text, "custom_inputs": {"thread_id": "of-the-crowd"}}

    async def _request(self, method: str, path: str, **more: Any) -> Answer:
        began, headers = time.monotonic(), more.pop("headers", {})
        headers = {"X-Forwarded-User": self.name, **headers}
        response = await self.http.request(method, path, headers=headers, **more)
        retry_after = response.headers.get("Retry-After", "")
        self.answers.append(Answer(began, response.status_code, response.text, retry_after))
        return self.answers[-1]


@dataclass
class Crowd:
    """All of them."""

    url: str
    users: int
    members: list[Member] = field(default_factory=list)

    def answers(self, since: float) -> list[Answer]:
        """Return the answers to what was asked from then on."""
        return [a for member in self.members for a in member.answers if a.asked_at >= since]

    async def live(self, seconds: float, meanwhile: Awaitable[None]) -> None:
        """Let every member live for so long, and await `meanwhile` beside them."""
        async with self._client() as http:
            self.members = [Member(f"user{n}x", http) for n in range(self.users)]
            until, pause = time.monotonic() + seconds, max(PAUSE_SECONDS, 2 * self.users / A_SECOND)
            members = [member.live(until, pause) for member in self.members]
            await asyncio.gather(meanwhile, *members)

    async def lost(self) -> list[str]:
        """Return what was acknowledged to anybody, and is not there."""
        found: list[str] = []
        async with self._client() as http:
            for member in self.members:
                member.http = http
                found += await member.lost()
        return found

    def _client(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        return httpx.AsyncClient(base_url=self.url, timeout=90, limits=limits)
