"""What is read from disk and may be anything: files of the wrong kind or size, text that is no data of ours."""

from sparsecc.untrusted.data import MalformedError, parse_json, shown
from sparsecc.untrusted.fields import (
    check_members,
    entries,
    number,
    pairs,
    text,
    texts,
    truth,
    whole_number,
    whole_numbers,
)
from sparsecc.untrusted.files import RefusedError, available_bytes, open_file, read_file
from sparsecc.untrusted.other_models import is_onnx, other_model

__all__ = [
    "MalformedError",
    "RefusedError",
    "available_bytes",
    "check_members",
    "entries",
    "is_onnx",
    "number",
    "open_file",
    "other_model",
    "pairs",
    "parse_json",
    "read_file",
    "shown",
    "text",
    "texts",
    "truth",
    "whole_number",
    "whole_numbers",
]
