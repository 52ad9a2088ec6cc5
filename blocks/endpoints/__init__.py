"""Model servers as they answer: requests, replies, refusals and errors of each kind of server."""
