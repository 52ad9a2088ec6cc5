"""Text of chat templates in answers: control tokens, further turns, tool calls."""
