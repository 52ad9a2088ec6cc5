"""Questions on their way to the models: queues, addresses, pace, limits, budgets."""
