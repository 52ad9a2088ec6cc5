"""What a model is: its kinds and settings, providers and prices, chat templates, a request and its completion."""
