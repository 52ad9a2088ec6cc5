"""Instructions that can be verified: counts, language, case, words, begin and end, format."""
