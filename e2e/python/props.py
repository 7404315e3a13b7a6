"""What callers ask for, whoever answers."""

import base64

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
NAMES = ("get_weather", "get_forecast")
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "A tool for tests.", "parameters": SCHEMA}}
    for name in NAMES
]
CLAUDE_TOOLS = [{"name": name, "description": "A tool for tests.", "input_schema": SCHEMA} for name in NAMES]
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()
