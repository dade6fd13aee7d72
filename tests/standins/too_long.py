"""How providers say that a prompt is too long for the model."""

from tests.standins.answers import Answer

# As issues of their users quote them: vllm 16420, QwenLM/Qwen3 1321, baserow 3011, bolt.new 7414.
TOO_LONG = {
    "openai": Answer(
        status=400,
        body={
            "error": {
                "message": "This model's maximum context length is 2000 tokens. However, your "
                "messages resulted in 9999 tokens. Please reduce the length of the messages.",
                "type": "invalid_request_error",
                "param": "messages",
                "code": "context_length_exceeded",
            }
        },
    ),
    "vllm": Answer(
        status=400,
        body={
            "object": "error",
            "message": "This model's maximum context length is 2000 tokens. However, you requested "
            "9999 tokens (9000 in the messages, 999 in the completion). Please reduce the length.",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    "sglang": Answer(
        status=400,
        body={
            "object": "error",
            "message": "The input (9999 tokens) is longer than the model's context length (2000 "
            "tokens).",
            "type": "BadRequestError",
            "code": 400,
        },
    ),
    "databricks": Answer(
        status=400,
        body={
            "error_code": "BAD_REQUEST",
            "message": '{"external_model_message":{"message":"input length and `max_tokens` exceed '
            'context limit: 9999 + 999 > 2000, decrease input length or `max_tokens`"}}',
        },
    ),
    "databricks-claude": Answer(
        status=400,
        body={
            "error_code": "BAD_REQUEST",
            "message": "prompt is too long: 9999 tokens > 2000 maximum",
        },
    ),
    "databricks-throughput": Answer(
        status=400,
        body={
            "error_code": "INVALID_PARAMETER_VALUE",
            "message": "Input is longer than the maximum context length of the model.",
        },
    ),
    "gemini": Answer(
        status=400,
        body={
            "error": {
                "code": 400,
                "status": "INVALID_ARGUMENT",
                "message": "The input token count (9999) exceeds the maximum number of tokens "
                "allowed (2000).",
            }
        },
    ),
    "payload": Answer(status=413, body={"message": "Request too large."}),
}
