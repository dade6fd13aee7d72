"""How endpoints say that their model takes no images or files: with no code to know it by."""

from typing import Any

from tests.standins.answers import Answer


def _error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": None, **more}}


# As issues of their users quote them: vllm 11629, dots.ocr 61, cloudflare-os 97, tinker-feedback
# 83, oai-compatible-copilot 229.
NO_FILES = {
    "openai": Answer(
        status=400,
        body=_error("Invalid content type. image_url is only supported by certain models."),
    ),
    "vllm": Answer(
        status=400,
        body={
            "object": "error",
            "message": "m is not a multimodal model",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    "ollama": Answer(status=400, body=_error("this model does not support image input")),
    "validated": Answer(
        status=422,
        body={"detail": [{"loc": ["body", "messages", 0], "msg": "Input should be 'text'"}]},
    ),
    "openrouter": Answer(
        status=404, body={"error": {"message": "No endpoints found that support image input"}}
    ),
    "too large": Answer(status=413, body={"message": "Request too large."}),
}
