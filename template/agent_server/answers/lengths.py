"""How providers say that a prompt is too long for their model."""

import re

import openai

STATUSES = (400, 413, 422)
# Codes of OpenAI's API, and of those that follow it.
CODES = ("context_length_exceeded", "string_above_max_length", "prompt_too_long")
# Where a provider has no code of its own, its words: the one place where an error is known by them.
WORDS = re.compile(
    "|".join(
        (
            r"maximum context length",  # OpenAI, vLLM, Databricks
            r"context (length|limit|window)",  # SGLang, Bedrock, Databricks
            r"prompt is too long",  # Anthropic
            r"input is too long",  # Bedrock
            r"input length and `?max_tokens`? exceed",  # Anthropic
            r"longer than the (maximum )?(model|context)",  # vLLM, SGLang
            r"input token count .* exceeds",  # Gemini
            r"inputs? tokens? .{0,40}must be <=?",  # Text Generation Inference
            r"exceed(s|ed)? the (maximum|max) .{0,40}tokens",  # Together, Cohere
            r"too many (input )?tokens",  # Cohere
            r"reduce the length",  # OpenAI
        )
    ),
    re.IGNORECASE,
)


def is_too_long(error: openai.APIStatusError) -> bool:
    """Return whether the model refused a prompt because of its length."""
    if error.status_code not in STATUSES:
        return False
    said = error.message if isinstance(error.message, str) else ""
    return error.status_code == 413 or error.code in CODES or bool(WORDS.search(said))
