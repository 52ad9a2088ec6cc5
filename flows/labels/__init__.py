"""A person's own verdicts on a run's pairs, given blind, and how often the judge agrees with them."""
