"""What texts tell: their language, thinking, endings, refusals and template marks."""
