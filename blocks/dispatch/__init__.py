"""Questions on their way to the models: queues, addresses, concurrency, limits, budgets."""
