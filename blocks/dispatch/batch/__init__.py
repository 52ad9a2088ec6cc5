"""Questions that go out in batches (OpenAI's Batch API) and come back hours later."""
