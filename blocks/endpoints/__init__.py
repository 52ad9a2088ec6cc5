"""Model servers as they answer: requests, replies, refusals and faults of each kind of server."""
