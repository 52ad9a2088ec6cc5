"""The places that a dataset is published to: a folder, a storage, the Hub."""
