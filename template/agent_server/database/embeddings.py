"""Vectors of texts, which the embedding endpoint computes."""

import asyncio
import logging
import re
from collections.abc import Sequence

import httpx
import openai
from pydantic import BaseModel, FiniteFloat, ValidationError

from agent_server.errors import ApiError, bad_request
from agent_server.settings import SettingsError, limit, setting

log = logging.getLogger(__name__)

MAX_DIMS = 2000  # that pgvector can index in a `vector` column
RETRY_SECONDS = 5
UNAVAILABLE = (
    "Memories can't be saved or searched now, because the embedding endpoint gives no usable "
    "answer. Try again later."
)
REFUSED = "The embedding endpoint refuses this text: it may be too long. Try a shorter one."


class Vector(BaseModel):
    """One vector of an answer."""

    embedding: list[FiniteFloat]


class Vectors(BaseModel):
    """The part of an answer that is used."""

    data: list[Vector]


def wanted_dims() -> int:
    """Return EMBEDDING_DIMS; raises SettingsError when no column can have that many."""
    value = setting("EMBEDDING_DIMS")
    if not (re.fullmatch("[0-9]{1,4}", value) and 1 <= int(value) <= MAX_DIMS):
        raise SettingsError(f"EMBEDDING_DIMS must be a number from 1 to {MAX_DIMS}, not {value!r}.")
    return int(value)


async def embed(client: openai.AsyncOpenAI, texts: Sequence[str], dims: int) -> list[list[float]]:
    """Return a vector of `dims` numbers for each text.

    Raises ApiError when the endpoint refuses the texts, fails, or takes more than
    EMBEDDING_SECONDS.
    """
    vectors = await _ask(client, texts)
    if [len(vector) for vector in vectors] != [dims] * len(texts):
        log.warning("%s did not return %d numbers per text", setting("EMBEDDING_ENDPOINT"), dims)
        raise _unavailable()
    return vectors


async def check_dims(client: openai.AsyncOpenAI, wanted: int, held: int) -> None:
    """Raise SettingsError when the endpoint, EMBEDDING_DIMS and the column do not agree."""
    endpoint, returned = setting("EMBEDDING_ENDPOINT"), wanted
    try:
        returned = len((await _ask(client, ["dimensions"]))[0])
    except ApiError:
        log.warning("could not ask %s for the length of its vectors", endpoint)
    if not returned == wanted == held:
        raise SettingsError(
            f"Vectors do not fit: {endpoint} returns {returned} numbers, EMBEDDING_DIMS is "
            f"{wanted}, the column store_vectors.embedding holds {held}. Set EMBEDDING_DIMS to "
            "what is returned; a column keeps its size, so choose another schema for another."
        )


async def _ask(client: openai.AsyncOpenAI, texts: Sequence[str]) -> list[list[float]]:
    endpoint = setting("EMBEDDING_ENDPOINT")
    body = {"model": endpoint, "input": [*texts], "encoding_format": "float"}
    try:
        # The client's own timeout is for each read and each retry.
        async with asyncio.timeout(limit("EMBEDDING_SECONDS")):
            # Not embeddings.create: MLflow would add the vectors to the trace of the turn.
            answer = await client.post("/embeddings", cast_to=httpx.Response, body=body)
        data = Vectors.model_validate_json(answer.content).data
    except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
        log.warning("%s refuses a text: %s", endpoint, error)
        raise bad_request(REFUSED) from error
    except (TimeoutError, openai.APIError, ValidationError) as error:
        log.warning("%s gives no usable answer: %r", endpoint, error)
        raise _unavailable() from error
    return [vector.embedding for vector in data]


def _unavailable() -> ApiError:
    return ApiError(503, "embeddings_unavailable", UNAVAILABLE, RETRY_SECONDS)
