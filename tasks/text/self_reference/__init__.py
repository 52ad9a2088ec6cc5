"""What an answer says of the model that wrote it: its maker, the date up to which it knows things, its thinking."""
