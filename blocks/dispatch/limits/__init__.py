"""How many calls may be in flight at an address, and how many a minute."""
